"""The registry of kinds of cluster. A kind is one module with `assemble` and `tools`, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from slipway.config.models import ClusterSpec
from slipway.config.versions import Tools as PinnedTools
from slipway.engine.steps import AnyNode
from slipway.hosts.host import Host
from slipway.installers.bundle import Bundle

if TYPE_CHECKING:
    from slipway.clusters.cluster import Cluster
    from slipway.clusters.system_images import SystemImages

KINDS = {
    "minikube": "slipway.clusters.minikube_cluster",
    "context": "slipway.clusters.context",
}

Tools = Callable[[], Iterator[AnyNode]]


@dataclass(frozen=True)
class ClusterSite:
    """What a cluster is put together from: what its environment says, and the machine where it runs or is asked from.

    `images` are on that machine's Docker; `remote` is whether images are built on another machine. `prepare` puts the
    steps of the machine itself before those of the kind. `context` and `registry` are empty where none is named.
    """

    environment: str
    kind: str
    spec: ClusterSpec
    context: str
    registry: str
    namespace: str
    host: Host
    remote: bool
    images: SystemImages
    tools: PinnedTools
    bundle: Bundle | None
    prepare: Callable[[Tools], Iterator[AnyNode]]
    closing: ExitStack


def tools(site: ClusterSite) -> Iterator[AnyNode]:
    """What the machine of a cluster needs. A Minikube's comes without the Kubernetes client, which takes 0.15 s."""
    found: Iterator[AnyNode] = import_module(KINDS[site.kind]).tools(site)
    return found


def assemble(site: ClusterSite) -> Cluster:
    """The cluster of a site's kind; nothing is read or connected yet."""
    cluster: Cluster = import_module(KINDS[site.kind]).assemble(site)
    return cluster
