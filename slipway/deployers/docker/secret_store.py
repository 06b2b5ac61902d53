"""Generated secrets of a project in a volume, mode 0600, read and written through a container that never runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, OWNER, ROLE, Names, left_behind, owner
from slipway.docker.protocols import Daemon
from slipway.docker.state import State
from slipway.engine.reporter import Reporter


class DockerSecretStore:
    """The `SecretStore` of one project on one Docker, whose runs take turns (a lock of this machine)."""

    PATH = "/secrets/secrets.json"

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon, self._names = daemon, names

    def read(self, state: State) -> dict[str, str]:
        """What was generated so far; nothing is made when nothing is there."""
        if not any(volume.name == self._names.secrets for volume in state.volumes):
            return {}
        with self._holder(state) as holder:
            return self._content(holder)

    def store(self, values: Mapping[str, str], report: Reporter) -> str:  # noqa: ARG002  it takes no time
        """Store values; what is stored by now stays as it is."""
        state = self._daemon.state(self._names.project)
        self._daemon.volumes.create(self._names.secrets, {LABEL: self._names.project, ROLE: "secrets"})
        with self._holder(state) as holder:
            content = json.dumps({**values, **self._content(holder)}, sort_keys=True)
            self._daemon.io.write_file(holder, self.PATH, content.encode(), 0o600)
        return f"stored in volume {self._names.secrets}"

    def _content(self, holder: str) -> dict[str, str]:
        content = self._daemon.io.read_file(holder, self.PATH)
        return {str(k): str(v) for k, v in json.loads(content).items()} if content else {}

    @contextmanager
    def _holder(self, state: State) -> Iterator[str]:
        image = "slipway/nothing:1"
        if state.tagged(image) is None:
            self._daemon.images.import_rootfs(_EMPTY, image, ['CMD ["/nothing"]'])
        for left in (c for c in state.containers if c.labels.get(ROLE) == "holder" and left_behind(c.labels)):
            self._daemon.containers.remove(left.id)  # of a run that was killed
        name = f"{self._names.short}_secrets_{time.time_ns():x}"
        labels = {LABEL: self._names.project, ROLE: "holder", OWNER: owner()}
        made = self._daemon.containers.create(
            ContainerSpec(name, image, labels, volumes={self._names.secrets: "/secrets"})
        )
        try:
            yield made
        finally:
            self._daemon.containers.remove(made)


_EMPTY = b"\0" * 10240  # a tar with nothing in it
