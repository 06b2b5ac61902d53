"""The labels and names of all that Slipway creates on Docker. By them it finds what an earlier version deployed."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

LABEL = "slipway.project"  # on everything that Slipway creates; its value is the project's name
SERVICE, ROLE = "slipway.service", "slipway.role"
SECRETS_HOLDER = "secrets-holder"  # the role of the container by which the volume of generated secrets is read
OWNER = "slipway.owner"  # on what is removed with the run that created it: PID@MACHINE
SOURCE, MANIFEST, RELEASE = "slipway.source", "slipway.manifest", "slipway.release"
CONTENT = "slipway.content"  # on a container of a smoke test: the digest of what it is made from
EXPOSE = "slipway.expose"  # on a container that serves: the URL at which the world reaches it
CLASSES = "slipway.classes"  # on an image: what its class data archive was made from
JAR_LAYER = "slipway.jar-layer"  # on an image: where its jar is, and a digest of all else that it was built from

# The record of a release, beside the labels above
SETTINGS, IMAGE, CHECKS = "slipway.settings", "slipway.image", "slipway.checks"
TIME, WHO, COMMIT = "slipway.time", "slipway.who", "slipway.commit"


def source_tag(project: str, service: str, source: str) -> str:
    """The tag of an image by the sources that it is built from: hh/auth:src-0123456789abcdef."""
    return f"{project}/{service}:src-{source}"


@dataclass(frozen=True)
class Names:
    """The names of one project's containers and volumes on Docker."""

    project: str
    short: str

    def container(self, service: str) -> str:
        """The running container: hh_auth_01."""
        return f"{self.short}_{service}_01"

    def previous(self, service: str) -> str:
        """The earlier container while a new one is being checked."""
        return f"{self.short}_{service}_01_previous"

    def next(self, service: str) -> str:
        """The new container while it is being checked, where the earlier one goes on answering meanwhile."""
        return f"{self.short}_{service}_01_next"

    def proxy(self, service: str) -> str:
        """The proxy in front of the running container."""
        return f"{self.short}_{service}_proxy"

    @property
    def edge(self) -> str:
        """The container that answers the world."""
        return f"{self.short}_edge"

    @property
    def certificates(self) -> str:
        """The volume of its certificates and keys."""
        return f"{self.short}_certificates"

    def smoke(self, service: str) -> str:
        """The container of a smoke test."""
        return f"{self.short}_{service}_smoke"

    def image(self, service: str, source: str) -> str:
        """The tag of the image of these sources; one made anew from the same sources takes it over."""
        return source_tag(self.project, service, source)

    def release(self, service: str, number: int) -> str:
        """The empty volume whose labels are a release's record."""
        return f"{self.short}_{service}_release_{number:04d}"

    def data(self, service: str, name: str) -> str:
        """A volume of the service's own data."""
        return f"{self.short}_{service}_{name}"

    @property
    def secrets(self) -> str:
        """The volume of generated secrets, and the container by which it is read."""
        return f"{self.short}_secrets"


def owner(pid: str | None = None) -> str:
    """The value of `OWNER` for a process of this machine, by default this one."""
    return f"{pid or os.getpid()}@{socket.gethostname()}"


def left_behind(labels: Mapping[str, str]) -> bool:
    """Whether a process of this machine created what has these labels, and has ended."""
    pid, _, machine = labels.get(OWNER, "").partition("@")
    if machine != socket.gethostname() or not pid.isdigit():
        return False
    import psutil

    return not psutil.pid_exists(int(pid))
