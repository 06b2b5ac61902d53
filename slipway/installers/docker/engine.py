"""The Docker engine on a host: installed from a bundle, by Docker's own script or as packages; started and tested."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from slipway.config.versions import DockerTool, Script
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Privilege
from slipway.installers import packages
from slipway.installers.bundle import Bundle
from slipway.installers.docker.hello_world import run_hello_world
from slipway.installers.docker.start import LOG, start
from slipway.installers.docker.support import is_desktop, require_supported
from slipway.installers.download import fetch
from slipway.installers.host_step import HostStep

SCRIPT_FAMILIES = frozenset({"debian", "ubuntu", "fedora", "rhel"})  # of the systems that Docker's script knows


@dataclass(frozen=True, kw_only=True)
class InstallEngine(HostStep):
    """The Docker engine and its client, installed where missing, running now and started with the machine."""

    want: DockerTool
    daemon: Daemon
    bundle: Bundle | None

    def check(self, facts: Facts) -> Change | None:
        """Whether it is installed, new enough, and running."""
        return engine_differs(facts, self.want)

    def apply(self, report: Reporter) -> None:
        """Install what is missing, start dockerd and run a container."""
        facts = self.host.probe.facts()
        if installation_differs(facts, self.want):
            self._install(facts, report)
        hint = f"its log: {LOG}, or journalctl -u docker"
        self.host.run(start(facts), report).raise_for_status("dockerd could not be started", hint)
        run_hello_world(self.host, self.daemon, report)

    def _install(self, facts: Facts, report: Reporter) -> None:
        """From the bundle, else by Docker's own script, else as the distribution's packages."""
        if self.bundle and (files := self.bundle.packages(facts)):
            report.note(f"{len(files)} packages from the bundle")
            packages.install_files(self.host, [self.bundle.checked(file) for file in files], report)
            return
        if self.want.script and facts.family in SCRIPT_FAMILIES and self._run_script(self.want.script, report):
            return
        names = packages.names_for(self.want.packages, facts)
        if names is None:
            hint = "install Docker by hand: https://docs.docker.com/engine/install/"
            raise UsageError(f"no Docker package is known for {facts.system}", hint=hint)
        packages.install(self.host, names, report)

    def _run_script(self, script: Script, report: Reporter) -> bool:
        """Whether Docker's script could be downloaded and succeeded.

        A lost connection or a timeout is raised: the script may still be running there.
        """
        try:
            downloaded = Path(fetch(script.url, script.sha256, report))
        except Problem as problem:
            report.note(f"{problem.summary}; installing the distribution's packages instead")
            return False
        copy = f"/var/cache/slipway/docker-install-{script.sha256[:12]}.sh"
        self.host.upload(downloaded, copy, 0o600, Privilege.ROOT, report)
        result = self.host.run(run_script(copy, script), report)
        if result.exit_code:
            summary = f"Docker's own script failed (exit code {result.exit_code})"
            report.note(f"{summary}; installing the distribution's packages instead")
        return result.exit_code == 0


def engine_differs(facts: Facts, want: DockerTool) -> Change | None:
    """Why the engine must be installed or started, or None. Raises UsageError where Docker is not supported."""
    return installation_differs(facts, want) or daemon_differs(facts)


def installation_differs(facts: Facts, want: DockerTool) -> Change | None:
    """Why the engine must be installed, or None. Raises UsageError where Docker is not supported."""
    require_supported(facts)
    if is_desktop(facts):
        return None
    if not facts.dockerd:
        return Change("the Docker engine is not installed")
    if not facts.docker:
        return Change("Docker's client is not installed")
    if Version(facts.engine_version) < Version(want.minimum):
        return Change(f"Docker {facts.engine_version} is older than {want.minimum}")
    return None


def daemon_differs(facts: Facts) -> Change | None:
    """Why dockerd must be started, or None."""
    if not facts.socket or not (facts.daemon or facts.kernel == "Darwin" or facts.wsl):
        return Change("dockerd is not running")
    if facts.systemd and facts.dockerd and not facts.docker_enabled:
        return Change("dockerd is not started at boot")
    return None


def run_script(path: str, script: Script) -> Command:
    """The command that runs Docker's script from a file, with a pinned version."""
    argv = ("sh", path, "--version", script.version)
    return Command(argv, privilege=Privilege.ROOT, timeout=1800, resumable=True)
