"""The programs for a Minikube on a host: kubectl, minikube, and from a bundle what minikube copies into its node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from slipway.config.models import ClusterSpec
from slipway.config.versions import Tools
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, Privilege, step_title
from slipway.installers import kubectl
from slipway.installers.binary import InstallBinary
from slipway.installers.bundle import Bundle
from slipway.installers.host_step import HostStep


def steps(
    host: Host, want: Tools, cluster: ClusterSpec, bundle: Bundle | None, after: tuple[str, ...]
) -> Iterator[Step[Facts]]:
    """The steps that make a host able to create and run the cluster."""
    yield from kubectl.steps(host, want, bundle, cluster, after)
    if want.minikube:
        yield InstallMinikube(
            name="minikube",
            title=step_title(host, f"minikube {want.minikube.minimum} or newer"),
            host=host,
            binary=want.minikube,
            bundle=bundle,
            after=after,
            limit=host.packages,
        )
    if bundle:
        yield CacheKubernetes(
            name="kubernetes",
            title=step_title(host, f"Kubernetes {cluster.kubernetes} from the bundle"),
            host=host,
            bundle=bundle,
            kubernetes=cluster.kubernetes,
            after=after,
        )


class InstallMinikube(InstallBinary):
    """minikube."""

    def check(self, facts: Facts) -> Change | None:
        """Whether there is one that is new enough."""
        return minikube_differs(facts, self.binary.minimum)


@dataclass(frozen=True, kw_only=True)
class CacheKubernetes(HostStep):
    """Kubernetes' programs for the node in minikube's cache, from which minikube takes them without a download."""

    bundle: Bundle
    kubernetes: str

    def check(self, facts: Facts) -> Change | None:
        """Whether the cache has all of the bundle's."""
        return cache_differs(facts, self.bundle, self.kubernetes)

    def apply(self, report: Reporter) -> None:
        """Copy them."""
        facts, files = self.host.probe.facts(), self.bundle.of("cluster")
        architecture = facts.platform.rpartition("/")[2]
        folder = f"{facts.minikube_home}/cache/linux/{architecture}/v{self.kubernetes}"
        for index, file in enumerate(files):
            report.progress(index, len(files), "files")
            self.host.upload(self.bundle.checked(file), f"{folder}/{file.name}", 0o755, Privilege.USER, report)


def minikube_differs(facts: Facts, minimum: str) -> Change | None:
    """Why minikube must be installed, or None."""
    installed = facts.tools.get("minikube", "")
    if not installed:
        return Change("minikube is not installed")
    try:
        version = Version(installed)
    except InvalidVersion:
        return Change(f"minikube reports version {installed!r}")
    return Change(f"minikube {installed} is older than {minimum}") if version < Version(minimum) else None


def cache_differs(facts: Facts, bundle: Bundle, kubernetes: str) -> Change | None:
    """Why files must be copied to minikube's cache, or None: it has what the bundle has for the node."""
    cached = facts.kubernetes.get(f"v{kubernetes}", ())
    missing = [file.name for file in bundle.of("cluster") if file.name not in cached]
    return Change(f"{', '.join(missing)} not in minikube's cache") if missing else None
