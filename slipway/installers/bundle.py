"""The offline bundle: a folder with every pinned download, so that nothing which it has is asked of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

from slipway.config.document import FileErrors, parse
from slipway.config.document import read as read_document
from slipway.config.fields import Model
from slipway.docker.protocols import Daemon, State
from slipway.engine.steps import Change, Probe, Reporter, ResourceLimit, Step, function_step
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.host import THIS_MACHINE, Host, step_prefix, step_title
from slipway.installers.download import digest

MANIFEST = "bundle.yaml"


class File(Model):
    """One file of a bundle; `path` is in the folder.

    `name` is a tool, a component of Kubernetes, an image's role, or a package of the Docker engine or its needs.
    """

    name: str
    version: str  # of an image: the reference that it has in the archive
    platform: str
    path: str
    sha256: str
    purpose: Literal["tool", "cluster", "image", "package"]
    system: str = ""  # of a package: the release of a distribution, such as debian-12


class Manifest(Model):
    """bundle.yaml."""

    files: tuple[File, ...]


class Bundle:
    """A bundle as it stands in a folder. Raises Problem where that holds none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            hint = "--bundle names a folder made by ./invoke bundle.create --dir D"
            raise UsageError(f"{folder} holds no {MANIFEST}", hint=hint)

    @cached_property
    def files(self) -> tuple[File, ...]:
        """What the manifest lists. Raises Problem with every fault of it."""
        errors = FileErrors()
        document = read_document(self.folder / MANIFEST, errors)
        found = parse(document, Manifest, errors) if document else None
        if found is None:
            summary = f"{self.folder / MANIFEST} can't be read"
            raise UsageError(summary, details="\n".join(errors.lines), hint="make it again")
        return found.files

    def of(self, purpose: str) -> list[File]:
        """The files that are for one purpose."""
        return [file for file in self.files if file.purpose == purpose]

    def packages(self, facts: Facts) -> list[File]:
        """Docker's packages for a machine."""
        system = f"{facts.family}-{facts.version}"
        return [file for file in self.of("package") if (file.system, file.platform) == (system, facts.platform)]

    def find(self, purpose: str, name: str, platform: str) -> Path | None:
        """A file's path, its sha256 checked. Raises Problem if it is not what the manifest says."""
        for file in self.of(purpose):
            if (file.name, file.platform) == (name, platform):
                return self.checked(file)
        return None

    def checked(self, file: File) -> Path:
        """The path of a file that is there and is what was pinned."""
        path = self.folder / file.path
        if fault := self.fault(file):
            raise Problem(f"bundle: {fault}", hint=f"./invoke bundle.verify --dir '{self.folder}'")
        return path

    def fault(self, file: File) -> str:
        """What is wrong with a file, or nothing."""
        path = self.folder / file.path
        if not path.is_file():
            return f"{file.path} is missing"
        got = digest(path)
        return "" if got == file.sha256 else f"{file.path} has sha256 {got}, not {file.sha256}"

    def faults(self, report: Reporter) -> list[str]:
        """Every bad or missing file, by name."""
        found = []
        for index, file in enumerate(self.files):
            report.cancel.check()
            report.progress(index + 1, len(self.files), "files")
            if fault := self.fault(file):
                found.append(fault)
        return found


def local(name: str) -> str:
    """The tag under which a bundle's image is kept in Docker, by its role."""
    return f"slipway/bundle-{name}:1"


def steps(
    bundle: Bundle,
    host: Host,
    daemon: Daemon,
    state: Probe[State],
    after: tuple[str, ...],
    wanted: Callable[[str], bool] = lambda _: True,
) -> Iterator[Step[State]]:
    """The images of a bundle whose role is `wanted`, put into a host's Docker, where every later command finds them."""
    lane = (
        None if host.name == THIS_MACHINE else ResourceLimit("the connection")
    )  # one archive after the other: each goes on if cut
    for file in filter(lambda file: wanted(file.name), bundle.of("image")):

        def differs(found: State, file: File = file) -> Change | None:
            image = found.tagged(local(file.name))
            marked = image is not None and _mark(file) in image.tags and file.version in image.tags
            return None if marked else Change("not on this Docker yet, or another one")

        def load(report: Reporter, file: File = file) -> None:
            image = daemon.load(str(bundle.checked(file)), report)
            for tag in (file.version, local(file.name), _mark(file)):
                daemon.tag(image, tag)

        title = step_title(host, f"image {file.name} from the bundle")
        yield function_step(f"{step_prefix(host)}/bundle/{file.name}", title, state, differs, load, after, lane)


def _mark(file: File) -> str:
    return f"{local(file.name).partition(':')[0]}:{file.sha256[:16]}"
