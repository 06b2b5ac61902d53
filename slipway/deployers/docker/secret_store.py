"""Generated secrets of a project in a volume, mode 0600, read and written through a container that never runs.

The container stays, since to create one takes longer than all else that a deploy asks of Docker where nothing changed.
While it is there, `docker volume prune` leaves the volume alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, ROLE, SECRETS_HOLDER, Names
from slipway.docker.protocols import Daemon
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.errors import Problem

IMAGE = "slipway/nothing:1"


class DockerSecretStore:
    """The `SecretStore` of one project on one Docker, whose runs take turns (a lock of this machine)."""

    PATH = "/secrets/secrets.json"

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon, self._names = daemon, names

    def read(self, state: Callable[[], State]) -> dict[str, str]:
        """What was generated so far; nothing is made when nothing is there.

        The state is asked only where the container is not there.
        """
        holder = self._holder()
        if not holder:
            found = state()
            if not any(volume.name == self._names.secrets for volume in found.volumes):
                return {}
            holder = self._create_holder(found)
        return _parsed(self._daemon.io.read_file(holder, self.PATH))

    def store(self, values: Mapping[str, str], report: Reporter) -> str:  # noqa: ARG002  it takes no time
        """Store values; what is stored by now stays as it is."""
        self._daemon.volumes.create(self._names.secrets, {LABEL: self._names.project, ROLE: "secrets"})
        holder = self._create_holder(self._daemon.state(self._names.project))
        stored = _parsed(self._daemon.io.read_file(holder, self.PATH))
        content = json.dumps({**values, **stored}, sort_keys=True)
        self._daemon.io.write_file(holder, self.PATH, content.encode(), 0o600)
        return f"stored in volume {self._names.secrets}"

    def _create_holder(self, state: State) -> str:
        """The id of the container by which the volume is read; the one that there is, if there is one."""
        if found := self._holder():
            return found
        if state.tagged(IMAGE) is None:
            self._daemon.images.import_rootfs(_EMPTY, IMAGE, ['CMD ["/nothing"]'])
        labels = {LABEL: self._names.project, ROLE: SECRETS_HOLDER}
        spec = ContainerSpec(self._names.secrets, IMAGE, labels, volumes={self._names.secrets: "/secrets"})
        try:
            return self._daemon.containers.create(spec)
        except Problem:
            if found := self._holder():  # another run was faster
                return found
            raise

    def _holder(self) -> str:
        """The id of the container, or nothing; one of that name may be another project's, whose `short` is the same."""
        found = self._daemon.containers.find(self._names.secrets)
        ours = {LABEL: self._names.project, ROLE: SECRETS_HOLDER}
        return found.id if found and ours.items() <= found.labels.items() else ""


def _parsed(content: bytes | None) -> dict[str, str]:
    return {str(k): str(v) for k, v in json.loads(content).items()} if content else {}


_EMPTY = b"\0" * 10240  # a tar with nothing in it
