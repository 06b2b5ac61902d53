"""Release records on a Docker daemon: the labels of an empty volume, which nothing can change any more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.release import Release
from slipway.deployers.releases import pick
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import (
    CHECKS,
    COMMIT,
    IMAGE,
    LABEL,
    MANIFEST,
    RELEASE,
    ROLE,
    SERVICE,
    SETTINGS,
    SOURCE,
    TIME,
    WHO,
    Names,
)
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container, State
from slipway.engine.steps import Probe


class DockerReleases:
    """The `Releases` of one project on one Docker."""

    def __init__(self, names: Names, state: Probe[State]) -> None:
        self._names, self._state = names, state

    def running(self, service: str) -> Release | None:
        """The release that the service's container runs, if it has a record."""
        state = self._state.facts()
        return release_of(state, state.container(self._names.container(service)))

    def history(self, service: str | None) -> list[Release]:
        """The records, newest first."""
        return releases(self._state.facts(), service)

    def earlier(self, service: str, number: int | None) -> Release:
        """The release of that number, or the one before the running one."""
        return pick(service, self.history(service), self.running(service), number)

    def reusable_image(self, desired: DesiredRelease[str]) -> str | None:  # noqa: ARG002
        """None: an image runs where it is built, and the build looks for it in the same Docker."""
        return None


def releases(state: State, service: str | None = None) -> list[Release]:
    """The recorded releases of a service, or of all by service, newest first."""
    found = (_record(labels) for labels in _kept(state, service))
    return sorted(filter(None, found), key=_by_service_newest_first)


def _kept(state: State, service: str | None) -> Iterator[Mapping[str, str]]:
    """The labels of the records of a service, or of all."""
    for labels in (volume.labels for volume in state.volumes):
        if labels.get(ROLE) == "release" and service in {None, labels.get(SERVICE)}:
            yield labels


def _by_service_newest_first(release: Release) -> tuple[str, int]:
    return release.service, -release.number


def last_number(state: State, service: str) -> int:
    """The highest number of any release of a service here, readable or not; 0 before the first."""
    mine = (labels.get(RELEASE, "") for labels in _kept(state, service))
    return max((int(number) for number in mine if number.isdigit()), default=0)


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
        image=labels[IMAGE],
        source=labels[SOURCE],
        manifest=labels[MANIFEST],
        time=labels[TIME],
        who=labels[WHO],
        commit=labels[COMMIT],
        checks=json.loads(labels[CHECKS]),
        settings=Service.model_validate_json(labels[SETTINGS]),
    )


def release_of(state: State, container: Container | None) -> Release | None:
    """The release that a container runs, if it has a record."""
    if container is None:
        return None
    marks = [(name, container.labels.get(name)) for name in (RELEASE, MANIFEST)]
    for labels in _kept(state, container.labels.get(SERVICE, "")):
        if all(labels.get(name) == value for name, value in marks):  # before it is read: there may be many
            return _record(labels)
    return None


def record(
    daemon: Daemon, names: Names, desired: DesiredRelease[str], wanted: ContainerSpec, checks: Mapping[str, bool]
) -> None:
    """Record a verified release: the labels of an empty volume, which nothing can change any more."""
    number = int(wanted.labels[RELEASE])
    daemon.volumes.create(
        names.release(desired.service.name, number),
        {
            LABEL: names.project,
            ROLE: "release",
            SERVICE: desired.service.name,
            RELEASE: str(number),
            SOURCE: desired.source,
            MANIFEST: wanted.labels[MANIFEST],
            SETTINGS: desired.service.model_dump_json(exclude={"folder"}, by_alias=True),
            IMAGE: desired.image,
            TIME: datetime.now(UTC).isoformat(timespec="seconds"),
            WHO: desired.who,
            COMMIT: desired.commit,
            CHECKS: json.dumps(dict(checks)),
        },
    )
