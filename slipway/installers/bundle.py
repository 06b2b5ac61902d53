"""The offline bundle: a folder with every pinned download, so that nothing in it is requested from the network."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from slipway.config.document import FileErrors, parse
from slipway.config.document import read as read_document
from slipway.config.fields import Model
from slipway.engine.reporter import Reporter
from slipway.errors import NextCommand, Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.installers.download import digest

MANIFEST = "bundle.yaml"
Purpose = Literal["tool", "cluster", "image", "package"]


class File(Model):
    """One file of a bundle; `path` is relative to the folder.

    `name` is a tool, a component of Kubernetes, an image's role, or a package of the Docker engine or its dependencies.
    """

    name: str
    version: str  # of an image: the reference that it has in the archive
    platform: str
    path: str
    sha256: str
    purpose: Purpose
    system: str = ""  # of a package: the release of a distribution, such as debian-12


class Manifest(Model):
    """bundle.yaml."""

    files: tuple[File, ...]


class Bundle:
    """A bundle in a folder. Raises UsageError where the folder has none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            hint = "a bundle is a folder that `bundle.create` made"
            commands = [NextCommand("bundle.create", {"dir": "D"})]
            raise UsageError(f"{folder} has no {MANIFEST}", hint=hint, commands=commands)

    @cached_property
    def files(self) -> tuple[File, ...]:
        """The manifest's files. Raises UsageError with every fault of the manifest."""
        errors = FileErrors()
        document = read_document(self.folder / MANIFEST, errors)
        manifest = parse(document, Manifest, errors) if document else None
        if manifest is None:
            summary = f"{self.folder / MANIFEST} can't be read"
            raise UsageError(summary, details="\n".join(errors.lines), hint="make it again")
        return manifest.files

    def of(self, purpose: Purpose) -> list[File]:
        """The files of one purpose."""
        return [file for file in self.files if file.purpose == purpose]

    def packages(self, facts: Facts) -> list[File]:
        """Docker's packages for a machine."""
        system = f"{facts.family}-{facts.version}"
        return [file for file in self.of("package") if (file.system, file.platform) == (system, facts.platform)]

    def find(self, purpose: Purpose, name: str, platform: str) -> File | None:
        """The file of that purpose and name for a platform."""
        found = (file for file in self.of(purpose) if (file.name, file.platform) == (name, platform))
        return next(found, None)

    def checked(self, file: File) -> Path:
        """The path of a file whose sha256 is the manifest's. Raises Problem for any other."""
        if fault := self.fault(file):
            raise Problem(f"bundle: {fault}", commands=[NextCommand("bundle.verify", {"dir": self.folder})])
        return self.folder / file.path

    def fault(self, file: File) -> str:
        """What is wrong with a file, or nothing."""
        path = self.folder / file.path
        if not path.is_file():
            return f"{file.path} is missing"
        actual = digest(path)
        return "" if actual == file.sha256 else f"{file.path} has sha256 {actual}, not {file.sha256}"

    def faults(self, report: Reporter) -> list[str]:
        """What is wrong with the files, a line for each bad or missing one."""
        found = []
        for index, file in enumerate(self.files):
            report.cancel.check()
            report.progress(index + 1, len(self.files), "files")
            if fault := self.fault(file):
                found.append(fault)
        return found


def image_tag(role: str) -> str:
    """The tag under which Docker keeps a bundle's image, by its role."""
    return f"slipway/bundle-{role}:1"
