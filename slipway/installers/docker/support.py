"""Whether Docker on a machine is Slipway's to install and start."""

from __future__ import annotations

from slipway.errors import UsageError
from slipway.hosts.facts import Facts

OWN_SOCKETS = frozenset({"unix:///var/run/docker.sock", "unix:///run/docker.sock"})
OWN_CONTEXTS = frozenset({"", "default", "desktop-linux", "colima"})


def is_desktop(facts: Facts) -> bool:
    """Whether Docker is an application that the user installs and starts."""
    return facts.kernel == "Darwin" or (facts.wsl and not facts.dockerd)


def require_supported(facts: Facts) -> None:
    """Raise UsageError where Docker's client talks to another machine, or Docker can't be installed here."""
    require_own_daemon(facts)
    if is_desktop(facts) and not facts.socket:
        app = "Docker Desktop or Colima" if facts.kernel == "Darwin" else "Docker Desktop with WSL integration"
        raise UsageError("Docker is not running", hint=f"install and start {app}, then run the same command")
    if facts.kernel not in {"Linux", "Darwin"}:
        raise UsageError(f"{facts.kernel} is not supported", hint="use Linux, macOS or WSL2")


def require_own_daemon(facts: Facts) -> None:
    """Raise UsageError if Docker's client is set to use another machine's daemon: `local` means this one's."""
    if facts.docker_host and facts.docker_host not in OWN_SOCKETS:
        raise UsageError(
            f"DOCKER_HOST is {facts.docker_host}, which is not this machine's Docker",
            hint="unset DOCKER_HOST, or name another environment",
        )
    if facts.docker_context not in OWN_CONTEXTS:
        raise UsageError(
            f"Docker's context is {facts.docker_context}, which is not this machine",
            hint="docker context use default, or name another environment",
        )
