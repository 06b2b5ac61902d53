"""kubectl on a host: any, or one that fits the version of the cluster that is created there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from slipway.config.models import ClusterSpec
from slipway.config.versions import Tools
from slipway.engine.steps import Change, Step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, step_title
from slipway.installers.binary import InstallBinary
from slipway.installers.bundle import Bundle


def steps(
    host: Host, want: Tools, bundle: Bundle | None, cluster: ClusterSpec | None = None, after: tuple[str, ...] = ()
) -> Iterator[Step[Facts]]:
    """The step that installs kubectl. Without `cluster`, its version is not Slipway's to choose."""
    if want.kubectl:
        yield InstallKubectl(
            name="kubectl",
            title=step_title(host, f"kubectl {want.kubectl.minimum} or newer" if cluster else "kubectl"),
            host=host,
            binary=want.kubectl,
            bundle=bundle,
            kubernetes=cluster.kubernetes if cluster else None,
            after=after,
            limit=host.packages,
        )


@dataclass(frozen=True, kw_only=True)
class InstallKubectl(InstallBinary):
    """kubectl. `kubernetes` is the version of the cluster that it must fit, if any."""

    kubernetes: str | None

    def check(self, facts: Facts) -> Change | None:
        """Whether there is a kubectl that fits."""
        return kubectl_differs(facts, self.kubernetes)


def kubectl_differs(facts: Facts, kubernetes: str | None) -> Change | None:
    """Why kubectl must be installed, or None.

    It must be within one minor version of the cluster's (kubernetes.io, "Version Skew Policy").
    """
    installed = facts.tools.get("kubectl", "")
    if not installed:
        return Change("kubectl is not installed")
    if kubernetes is None:
        return None
    try:
        version = Version(installed)
    except InvalidVersion:
        return Change(f"kubectl reports version {installed!r}")
    if abs(version.minor - Version(kubernetes).minor) > 1:
        return Change(f"kubectl {installed} is more than one minor version from Kubernetes {kubernetes}")
    return None
