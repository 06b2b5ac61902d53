"""Deploys to one host's Docker: one container per service, replaced only by a tested one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease, SecretLookup, settings_diff
from slipway.deployers.deployments import Deployments
from slipway.deployers.docker.container import container_spec, differs, settings_digest
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
    from slipway.deployers.docker.operations import DockerOperations
    from slipway.deployers.docker.status import DockerStatus
    from slipway.docker.container_spec import ContainerSpec
    from slipway.docker.protocols import Daemon
    from slipway.docker.reach import Reach
    from slipway.engine.steps import Probe


def deployments(
    daemon: Daemon, names: Names, state: Probe[State], checks: CheckRunner, reach: Reach | None = None
) -> Deployments[State, str]:
    """All that is done to a project's services on one Docker, this machine's without `reach`, and known of them."""
    reach = reach or OwnLoopback()
    return Deployments(
        state=state,
        deployer=DockerDeployer(daemon, names, checks, reach),
        releases=DockerReleases(names, state),
        secret_store=DockerSecretStore(daemon, names),
        make_operations=partial(_operations, daemon, names, state, reach),
        make_status=partial(_status, daemon, state, reach),
    )


def _operations(daemon: Daemon, names: Names, state: Probe[State], reach: Reach) -> DockerOperations:
    from slipway.deployers.docker.operations import DockerOperations

    return DockerOperations(daemon, names, state, reach)


def _status(daemon: Daemon, state: Probe[State], reach: Reach) -> DockerStatus:
    from slipway.deployers.docker.status import DockerStatus

    return DockerStatus(daemon, state, reach)


class DockerDeployer:
    """A `Deployer` whose manifest is the digest of a container's settings."""

    def __init__(self, daemon: Daemon, names: Names, checks: CheckRunner, reach: Reach) -> None:
        self.daemon, self.names, self.checks, self.reach = daemon, names, checks, reach

    def render(self, service: Service, secrets: Mapping[str, str]) -> str:
        """The digest of all that a container is started with, and of the checks that it must pass."""
        return settings_digest(service, secrets)

    def differs(self, state: State, desired: DesiredRelease[str]) -> str | None:
        """Why the container is not the desired one, or has no record."""
        container = state.container(self.names.container(desired.service.name))
        release, service = release_of(state, container), desired.service
        settings = settings_diff(release.settings if release else service, service)
        reason = differs(container, container_spec(self.names, desired, 0), settings)
        return UNRECORDED if reason is None and release is None else reason

    def apply(self, desired: DesiredRelease[str], report: Reporter) -> None:
        """Replace the container. A kill at any moment leaves the earlier one, stopped or running, by its name."""
        state = self.daemon.state(self.names.project)
        number = last_number(state, desired.service.name) + 1
        wanted = container_spec(self.names, desired, number)
        checks = self._replace(state, desired.service, wanted, report)
        record(self.daemon, self.names, desired, wanted, checks)
        self._clear(desired.service.name, report)

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
        wanted = container_spec(self.names, desired, release.number)
        wanted = replace(wanted, labels={**wanted.labels, MANIFEST: release.manifest})
        self._replace(state, settings, wanted, report)
        self._clear(release.service, report)

    def _replace(self, state: State, service: Service, want: ContainerSpec, report: Reporter) -> Mapping[str, bool]:
        from slipway.deployers.docker.replace_container import ContainerReplacement  # most deploys need none

        replacement = ContainerReplacement(self.daemon, self.names, self.checks, self.reach)
        return replacement.replace(state, service, want, report)

    def _clear(self, service: str, report: Reporter) -> None:
        """Remove the container that was replaced, and what is older than the kept releases."""
        state = self.daemon.state(self.names.project)
        if before := state.container(self.names.previous(service)):
            self.daemon.containers.remove(before.id)
        self._prune(state, service, report)

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
