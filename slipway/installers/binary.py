"""A program that is one file, pinned in tools.yaml: downloaded or taken from a bundle, and linked into the PATH."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.config.versions import Binary
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError
from slipway.hosts.host import Command, Privilege
from slipway.installers.bundle import Bundle
from slipway.installers.download import fetch
from slipway.installers.host_step import HostStep

BIN = "/usr/local/bin"
LIB = "/usr/local/lib/slipway"  # NAME-VERSION, so that a probe reads the version off the file's name


@dataclass(frozen=True, kw_only=True)
class InstallBinary(HostStep):
    """The program that the step is named after; subclasses say which versions of it will do."""

    binary: Binary
    bundle: Bundle | None

    def apply(self, report: Reporter) -> None:
        """Copy the file to the host under its version, and link it."""
        version, source = self._source(report)
        path = f"{LIB}/{self.name}-{version}"
        self.host.upload(source, path, 0o755, Privilege.ROOT, report)
        link = Command(("ln", "-sfn", path, f"{BIN}/{self.name}"), privilege=Privilege.ROOT, timeout=30)
        self.host.run(link, report).raise_for_status(f"{BIN}/{self.name} could not be created")

    def _source(self, report: Reporter) -> tuple[str, Path]:
        """The version and the file on this machine: the bundle's, else the download that is pinned."""
        platform = self.host.probe.facts().platform
        if self.bundle and (file := self.bundle.find("tool", self.name, platform)):
            return file.version, self.bundle.checked(file)
        pinned = self.binary.platforms.get(platform)
        if pinned is None:
            hint = f"add it to config/tools.yaml, or install {self.name} by hand"
            raise UsageError(f"no {self.name} is pinned for {platform}", hint=hint)
        return self.binary.version, Path(fetch(pinned.url, pinned.sha256, report))
