"""What puts a release of a service where it runs, and takes it back when its checks fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from slipway.config.models import Service, url_variable
from slipway.deployers.release import Release
from slipway.engine.reporter import Reporter

S_contra = TypeVar("S_contra", contravariant=True)  # what a deployer knows of where it deploys to
M = TypeVar("M")  # what it renders of a service

SecretLookup = Callable[[Service], Mapping[str, str]]  # the values of a service's secrets, by name


@dataclass(frozen=True)
class DesiredRelease(Generic[M]):
    """A service as its environment wants it, resolved once in a run.

    `source` is the source digest; `secrets` are values by name, never shown; `manifest` is what its deployer
    rendered of it; `image` is empty as long as there is none.
    """

    service: Service
    source: str
    secrets: Mapping[str, str]
    manifest: M
    who: str
    image: str = ""
    commit: str = ""


class Deployer(Protocol[S_contra, M]):
    """Deploys to one environment. Every method raises Problem, and leaves what runs as the only state there is."""

    def render(self, service: Service, secrets: Mapping[str, str]) -> M:
        """What is put there for a service, apart from its image; rendered once in a run."""

    def differs(self, state: S_contra, desired: DesiredRelease[M]) -> str | None:
        """Why what runs is not what is desired; None when it is, verified and recorded. Pure."""

    def apply(self, desired: DesiredRelease[M], report: Reporter) -> None:
        """Roll it out and run its checks; restore the earlier release and raise Problem if that fails."""

    def rollback(self, release: Release, secrets: SecretLookup, report: Reporter) -> None:
        """Roll a kept release out again, checked like any other, under its own number.

        `secrets` is asked where a release was kept without their values.
        """


def settings_diff(running: Service, desired: Service) -> str:
    """Why the running settings are not the desired ones, and where in the service file, if it shows there."""
    env = sorted(k for k in {*running.env, *desired.env} if running.env.get(k) != desired.env.get(k))
    keys = sorted(
        k for k in Service.model_fields if getattr(running, k) != getattr(desired, k) and k not in {"env", "folder"}
    )
    places = ", ".join([*(f"env {key}" for key in env), *keys])
    return "its settings or checks differ from the running release" + (f": {places}" if places else "")


def addresses(service: Service, of: Callable[[str], str]) -> dict[str, str]:
    """The URLs that a service's checks may ask, by variable: `BASE`, and `AUTH_URL` for each need.

    `of` tells a service's URL as the checks reach it.
    """
    return {"BASE": of(service.name), **{url_variable(need): of(need) for need in service.needs}}
