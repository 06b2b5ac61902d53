"""The releases of an environment: which one runs, and which were kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.release import Release
from slipway.errors import UsageError

M = TypeVar("M")

UNRECORDED = "the running version has no release record (started by hand, or an interrupted deploy)"
KEPT = 10  # releases of a service that are kept


class Releases(Protocol[M]):
    """The releases of one environment, read off where its services run."""

    def running(self, service: str) -> Release | None:
        """The recorded release that runs."""

    def history(self, service: str | None) -> Sequence[Release]:
        """The recorded releases of a service, or of all, newest first."""

    def earlier(self, service: str, number: int | None) -> Release:
        """The release of that number, or the one before the running one. Raises UsageError naming those that exist."""

    def reusable_image(self, desired: DesiredRelease[M]) -> str | None:
        """The image of a kept release of these sources and settings, where it can run again without being built."""


def pick(service: str, known: Sequence[Release], running: Release | None, number: int | None) -> Release:
    """Of the known releases (newest first) the one of that number, or the one before the running one."""
    if number is not None:
        found = [release for release in known if release.number == number]
    else:
        found = [release for release in known if running and release.number < running.number]
    if found:
        return found[0]
    numbers = ", ".join(str(release.number) for release in known) or "none"
    summary = f"{service} has no earlier release" if number is None else f"{service} has no release {number}"
    raise UsageError(summary, hint=f"kept releases: {numbers}")
