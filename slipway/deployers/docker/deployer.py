"""Deploys to one host's Docker: one container per service, replaced only by a tested one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease, SecretLookup, settings_diff
from slipway.deployers.deployments import Deployments
from slipway.deployers.docker.container import container_spec, differs, settings_digest, spec_differs
from slipway.deployers.docker.proxy import goes_behind, proxy_spec
from slipway.deployers.docker.release_store import DockerReleases, last_number, record, release_of, releases
from slipway.deployers.docker.secret_store import DockerSecretStore
from slipway.deployers.release import Release
from slipway.deployers.releases import KEPT, UNRECORDED
from slipway.docker.labels import LABEL, MANIFEST, SERVICE, Names
from slipway.docker.reach import OwnLoopback
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.errors import NextCommand, Problem

if TYPE_CHECKING:
    from slipway.checks.runner import CheckRunner
    from slipway.deployers.docker.edge import Edge
    from slipway.deployers.docker.operations import DockerOperations
    from slipway.deployers.docker.replace_container import ContainerReplacement
    from slipway.deployers.docker.status import DockerStatus
    from slipway.docker.container_spec import ContainerSpec
    from slipway.docker.protocols import Daemon
    from slipway.docker.reach import Reach
    from slipway.engine.steps import Probe


LEFT_OVER = "an interrupted deploy left the container before it"


def deployments(
    daemon: Daemon,
    names: Names,
    state: Probe[State],
    checks: CheckRunner,
    reach: Reach | None = None,
    proxy: str = "",
    edge: Edge | None = None,
) -> Deployments[State, str]:
    """All that is done to a project's services on one Docker, this machine's without `reach`, and known of them.

    `proxy` is the tag of the proxy's image there, in an environment that has one; `edge` answers the world.
    """
    reach = reach or OwnLoopback()
    return Deployments(
        state=state,
        deployer=DockerDeployer(daemon, names, checks, reach, proxy, edge),
        releases=DockerReleases(names, state),
        secret_store=DockerSecretStore(daemon, names),
        make_operations=partial(_operations, daemon, names, state, reach, edge),
        make_status=partial(_status, daemon, state, reach),
    )


def _operations(daemon: Daemon, names: Names, state: Probe[State], reach: Reach, edge: Edge | None) -> DockerOperations:
    from slipway.deployers.docker.operations import DockerOperations

    return DockerOperations(daemon, names, state, reach, edge)


def _status(daemon: Daemon, state: Probe[State], reach: Reach) -> DockerStatus:
    from slipway.deployers.docker.status import DockerStatus

    return DockerStatus(daemon, state, reach)


class DockerDeployer:
    """A `Deployer` whose manifest is the digest of a container's settings. `proxy` is the tag of a proxy's image."""

    def __init__(
        self,
        daemon: Daemon,
        names: Names,
        checks: CheckRunner,
        reach: Reach,
        proxy: str = "",
        edge: Edge | None = None,
    ) -> None:
        self.daemon, self.names, self.checks, self.reach = daemon, names, checks, reach
        self.proxy, self.edge = proxy, edge

    def render(self, service: Service, secrets: Mapping[str, str]) -> str:
        """The digest of all that a container is started with, and of the checks that it must pass."""
        return settings_digest(service, secrets)

    def differs(self, state: State, desired: DesiredRelease[str]) -> str | None:
        """Why the container, or the proxy in front of it, is not the desired one; or that the release has no record."""
        service = desired.service
        container = state.container(self.names.container(service.name))
        release = release_of(state, container)
        settings = settings_diff(release.settings if release else service, service)
        reason = (
            differs(container, self._container_spec(desired, 0), settings)
            or self._proxy_differs(state, service)
            or self._edge_differs(state, service)
        )
        if reason is None and release is None:
            return UNRECORDED
        return reason or (LEFT_OVER if state.container(self.names.previous(service.name)) else None)

    def _proxy_differs(self, state: State, service: Service) -> str | None:
        """Why the proxy in front of a service is not the wanted one."""
        found = state.container(self.names.proxy(service.name))
        if not self._goes_behind(service):
            return "a proxy is in front of it" if found else None
        if found is None:
            return "it has no proxy in front of it"
        reason = spec_differs(found, self._proxy_spec(state, service))
        return f"its proxy: {reason}" if reason else None

    def _edge_differs(self, state: State, service: Service) -> str | None:
        """Why the world does not reach an exposed service as it is wanted to."""
        if self.edge is None or service.expose is None:
            return None
        from slipway.deployers.docker.edge import edge_differs

        return edge_differs(state, self.names, self.edge)

    def _goes_behind(self, service: Service) -> bool:
        return bool(self.proxy) and goes_behind(service)

    def _container_spec(self, desired: DesiredRelease[str], number: int) -> ContainerSpec:
        return container_spec(self.names, desired, number, behind_proxy=self._goes_behind(desired.service))

    def _proxy_spec(self, state: State, service: Service) -> ContainerSpec:
        image = state.tagged(self.proxy)
        return proxy_spec(self.names, service, image.id if image else "", self.proxy)

    def apply(self, desired: DesiredRelease[str], report: Reporter) -> None:
        """Replace the container. A kill at any moment leaves the earlier one, stopped or running, by its name."""
        state = self.daemon.state(self.names.project)
        service = desired.service
        replacement = self._replacement(state, service)
        if self.differs(state, desired) == LEFT_OVER:
            self._clear(replacement, service, report)
            return
        wanted = self._container_spec(desired, last_number(state, service.name) + 1)
        checks = replacement.replace(state, service, wanted, report)
        record(self.daemon, self.names, desired, wanted, checks)
        self._clear(replacement, service, report)

    def rollback(self, release: Release, secrets: SecretLookup, report: Reporter) -> None:
        """Run a kept release again, with the settings and the number that it had."""
        state = self.daemon.state(self.names.project)
        if not any(image.id == release.image for image in state.images):
            summary = f"the image of release {release.number} is gone from this Docker"
            raise Problem(summary, commands=[NextCommand("history", {"service": release.service})])
        settings = release.settings
        desired = DesiredRelease(
            settings, release.source, secrets(settings), release.manifest, release.who, release.image, release.commit
        )
        wanted = self._container_spec(desired, release.number)
        wanted = replace(wanted, labels={**wanted.labels, MANIFEST: release.manifest})
        replacement = self._replacement(state, settings)
        replacement.replace(state, settings, wanted, report)
        self._clear(replacement, settings, report)

    def _replacement(self, state: State, service: Service) -> ContainerReplacement:
        """How the container of a service is replaced."""
        if self._goes_behind(service):
            from slipway.deployers.docker.take_over import TakeOver  # most deploys need none

            proxy = self._proxy_spec(state, service)
            return TakeOver(self.daemon, self.names, self.checks, self.reach, proxy)
        from slipway.deployers.docker.replace_container import ContainerReplacement

        return ContainerReplacement(self.daemon, self.names, self.checks, self.reach)

    def _clear(self, replacement: ContainerReplacement, service: Service, report: Reporter) -> None:
        """Remove the container that was replaced, and what is older than the kept releases."""
        replacement.clear(service, report)
        state = self.daemon.state(self.names.project)
        if self.edge or state.container(self.names.edge):
            from slipway.deployers.docker.edge import mend

            mend(self.daemon, self.names, self.edge, report)
        self._prune(state, service.name, report)

    def _prune(self, state: State, service: str, report: Reporter) -> None:
        """Remove records and images beyond the newest `KEPT` releases; what another release needs stays."""
        known = releases(state, service)
        kept = {release.image for release in known[:KEPT]}
        for release in known[KEPT:]:
            self.daemon.volumes.remove(self.names.release(service, release.number))
        for image in state.images:
            if image.labels.get(SERVICE) == service and image.labels.get(LABEL) == self.names.project:
                old = image.id not in kept and any(release.image == image.id for release in known[KEPT:])
                for tag in image.tags if old else ():
                    self.daemon.images.untag(tag)
                    report.note(f"{tag} is older than the newest {KEPT} releases and was removed")
