"""The releases that a namespace keeps."""

from __future__ import annotations

from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.kubernetes.manifest import Manifest
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace, running
from slipway.deployers.release import Release
from slipway.deployers.releases import pick


class KubernetesReleases:
    """The `Releases` of one namespace."""

    def __init__(self, namespace: ProjectNamespace) -> None:
        self._namespace = namespace

    def running(self, service: str) -> Release | None:
        """The release that the Deployment says it is, if it has a record."""
        kept = running(self._namespace.state.facts(), service)
        return kept.release if kept else None

    def history(self, service: str | None) -> list[Release]:
        """The records, newest first."""
        return [kept.release for kept in self._namespace.reachable().releases(service)]

    def earlier(self, service: str, number: int | None) -> Release:
        """The release of that number, or the one before the running one."""
        return pick(service, self.history(service), self.running(service), number)

    def reusable_image(self, desired: DesiredRelease[Manifest]) -> str | None:
        """The image of a kept release with these sources, settings and checks: it was verified here."""
        state = self._namespace.state.facts()
        wanted = (desired.source, desired.manifest.digest)
        known = () if state.down else (kept.release for kept in state.releases(desired.service.name))
        return next((release.image for release in known if (release.source, release.manifest) == wanted), None)
