"""What a Docker daemon keeps for Slipway: a release's record in a volume's labels, generated secrets in a volume."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from slipway.config.models import Service
from slipway.deployers.deployer import Release, Wanted
from slipway.deployers.docker.container import (
    MANIFEST,
    OWNER,
    RELEASE,
    ROLE,
    SERVICE,
    SOURCE,
    Names,
    left_behind,
    owner,
)
from slipway.docker.protocols import LABEL, Container, Daemon, Spec, State

SETTINGS = "slipway.settings"


def releases(state: State, service: str | None = None) -> list[Release]:
    """The records of a daemon, newest first."""
    read = (_record(v.labels) for v in state.volumes if v.labels.get(ROLE) == "release")
    found = [release for release in read if release and service in {None, release.service}]
    return sorted(found, key=lambda release: (release.service, -release.number))


def last(state: State, service: str) -> int:
    """The highest number that a release of a service ever got here, readable or not; 0 before the first."""
    mine = (v.labels for v in state.volumes if v.labels.get(ROLE) == "release" and v.labels.get(SERVICE) == service)
    return max((int(labels[RELEASE]) for labels in mine if labels.get(RELEASE, "").isdigit()), default=0)


def _record(labels: Mapping[str, str]) -> Release | None:
    """The release in a volume's labels; None for one that another version of Slipway wrote."""
    try:
        return _release(labels)
    except (KeyError, ValueError):
        return None


def _release(labels: Mapping[str, str]) -> Release:
    return Release(
        service=labels[SERVICE],
        number=int(labels[RELEASE]),
        image=labels["slipway.image"],
        source=labels[SOURCE],
        manifest=labels[MANIFEST],
        time=labels["slipway.time"],
        who=labels["slipway.who"],
        commit=labels["slipway.commit"],
        checks=json.loads(labels["slipway.checks"]),
        settings=Service.model_validate_json(labels[SETTINGS]),
    )


def recorded(state: State, container: Container | None) -> Release | None:
    """The release that a container is, if its record is there."""
    if container is None:
        return None
    number, service = container.labels.get(RELEASE, ""), container.labels.get(SERVICE, "")
    same = (release for release in releases(state, service) if str(release.number) == number)
    return next((release for release in same if release.manifest == container.labels.get(MANIFEST)), None)


def keep(daemon: Daemon, names: Names, wanted: Wanted, want: Spec, checks: Mapping[str, bool]) -> None:
    """Record a verified release: the labels of an empty volume, which nothing can change any more."""
    number = int(want.labels[RELEASE])
    daemon.volume(
        names.release(wanted.service.name, number),
        {
            LABEL: names.project,
            ROLE: "release",
            SERVICE: wanted.service.name,
            RELEASE: str(number),
            SOURCE: wanted.source,
            MANIFEST: want.labels[MANIFEST],
            SETTINGS: wanted.service.model_dump_json(exclude={"folder"}, by_alias=True),
            "slipway.image": wanted.image,
            "slipway.time": datetime.now(UTC).isoformat(timespec="seconds"),
            "slipway.who": wanted.who,
            "slipway.commit": wanted.commit,
            "slipway.checks": json.dumps(dict(checks)),
        },
    )


class SecretStore:
    """Generated secrets of a project in a volume, mode 0600, read and written through a container that never runs."""

    PATH = "/secrets/secrets.json"

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon, self._names = daemon, names

    def read(self, state: State) -> dict[str, str]:
        """What was generated so far; nothing is made when nothing is there."""
        if not any(volume.name == self._names.secrets for volume in state.volumes):
            return {}
        with self._holder(state) as holder:
            content = self._daemon.read(holder, self.PATH)
        return {str(k): str(v) for k, v in json.loads(content).items()} if content else {}

    def write(self, state: State, values: Mapping[str, str]) -> None:
        """Keep these values and no others."""
        self._daemon.volume(self._names.secrets, {LABEL: self._names.project, ROLE: "secrets"})
        with self._holder(state) as holder:
            self._daemon.write(holder, self.PATH, json.dumps(dict(values), sort_keys=True).encode(), 0o600)

    @contextmanager
    def _holder(self, state: State) -> Iterator[str]:
        image = "slipway/nothing:1"
        if state.tagged(image) is None:
            self._daemon.load_root(_EMPTY, image, ['CMD ["/nothing"]'])
        for left in (c for c in state.containers if c.labels.get(ROLE) == "holder" and left_behind(c.labels)):
            self._daemon.remove(left.id)  # of a run that was killed
        name = f"{self._names.short}_secrets_{time.time_ns():x}"
        labels = {LABEL: self._names.project, ROLE: "holder", OWNER: owner()}
        made = self._daemon.create(Spec(name, image, labels, volumes={self._names.secrets: "/secrets"}))
        try:
            yield made
        finally:
            self._daemon.remove(made)


_EMPTY = b"\0" * 10240  # a tar with nothing in it
