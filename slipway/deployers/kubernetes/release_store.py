"""What a cluster keeps: releases as labelled Secrets, generated secrets in one, and the objects of both as facts."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.config.models import Service
from slipway.deployers.releases import Release
from slipway.engine.steps import Threads
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.manifests.labels import GENERATED, NAME, ROLE, labels, release_secret_name, selector
from slipway.kubernetes.objects import Object

KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("apps/v1", "Deployment"),
    ("policy/v1", "PodDisruptionBudget"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
)
CONNECTIONS = 3  # at once: a TLS handshake costs more than a list


@dataclass(frozen=True)
class Kept:
    """A release and the objects that it consists of; a Secret among them only by its name."""

    release: Release
    objects: tuple[Object, ...]

    def names(self, kind: str) -> set[str]:
        """The names of its objects of a kind."""
        return {one["metadata"]["name"] for one in self.objects if one["kind"] == kind}


@dataclass(frozen=True)
class State:
    """What a namespace has of one project. `down` says why the cluster can't be asked; then nothing else is known."""

    objects: tuple[Object, ...] = ()
    namespace: bool = False
    down: str = ""
    kept: tuple[Kept, ...] = field(default=())
    unread: tuple[str, ...] = ()  # the Secrets of releases that can't be read
    runtimes: frozenset[str] = frozenset()  # of a Minikube's nodes: containerd://1.7.28
    start: str = ""  # the command that starts a cluster which is down

    def find(self, kind: str, name: str) -> Object | None:
        """The object of that kind and name."""
        return next((o for o in self.objects if o["kind"] == kind and o["metadata"]["name"] == name), None)

    def of(self, service: str, kind: str) -> list[Object]:
        """A service's objects of a kind."""
        return [o for o in self.objects if o["kind"] == kind and o["metadata"].get("labels", {}).get(NAME) == service]

    def releases(self, service: str | None = None) -> list[Kept]:
        """The kept releases, newest first."""
        return [kept for kept in self.kept if service in {None, kept.release.service}]

    def last(self, service: str) -> int:
        """The highest number that a release of a service has here, readable or not; 0 before the first."""
        names = [
            o["metadata"]["name"] for o in self.of(service, "Secret") if o["metadata"]["labels"].get(ROLE) == "release"
        ]
        return max((int(number) for name in names if (number := name.rpartition(".")[2]).isdigit()), default=0)

    @property
    def generated(self) -> dict[str, str]:
        """The generated secrets, by SERVICE.NAME."""
        found = self.find("Secret", GENERATED)
        return {k: base64.b64decode(v).decode() for k, v in (found or {}).get("data", {}).items()}


def read(cluster: Cluster, project: str, namespace: str, *, nodes: bool = False) -> State:
    """One list per kind, at once: of the kinds that Slipway renders, and of those that kept releases brought beside.

    `nodes`: it is a Minikube of ours, and what its nodes run containers with is asked too.

    Raises Problem when the cluster can't be asked.
    """
    pool = Threads(CONNECTIONS)

    def listed(kinds: Iterable[tuple[str, str]]) -> list[Object]:
        lists = [pool.submit(cluster.list, *kind, namespace, selector(project)) for kind in kinds]
        return [one for found in lists for one in found.result()]

    there = pool.submit(cluster.get, "v1", "Namespace", namespace)
    machines = pool.submit(cluster.list, "v1", "Node", None) if nodes else None
    objects = listed(KINDS)
    exists = there.result() is not None
    kept, unread = _readable([one for one in objects if one["metadata"]["labels"].get(ROLE) == "release"])
    objects += listed(kind for kind in sorted(beside(kept)) if cluster.knows(*kind))
    infos = [one["status"]["nodeInfo"] for one in (machines.result() if machines else ())]
    kept.sort(key=lambda k: (k.release.service, -k.release.number))
    runtimes = frozenset(info["containerRuntimeVersion"] for info in infos)
    return State(tuple(objects), exists, "", tuple(kept), tuple(unread), runtimes)


def _readable(secrets: Iterable[Object]) -> tuple[list[Kept], list[str]]:
    """The releases, and the names of those that a hand broke or another version of Slipway wrote."""
    kept, unread = [], []
    for one in secrets:
        try:
            kept.append(unpack(one))
        except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error):
            unread.append(one["metadata"]["name"])
    return kept, unread


def beside(kept: Iterable[Kept]) -> set[tuple[str, str]]:
    """The kinds of releases' objects, (apiVersion, kind), that are not among those that Slipway renders."""
    return {(one["apiVersion"], one["kind"]) for release in kept for one in release.objects} - set(KINDS)


def pack(project: str, namespace: str, release: Release, objects: Iterable[Object]) -> Object:
    """A release as its Secret: immutable, without the value of any secret."""
    shown = [{k: v for k, v in o.items() if o["kind"] != "Secret" or k not in {"data", "stringData"}} for o in objects]
    data = {key: value for key, value in vars(release).items() if key not in {"settings", "checks"}}
    data["checks"] = dict(release.checks)
    data["settings"] = release.settings.model_dump(mode="json", by_alias=True, exclude={"folder"})
    text = json.dumps({"release": data, "objects": shown}, sort_keys=True).encode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "slipway/release",
        "metadata": {
            "name": release_secret_name(release.service, release.number),
            "namespace": namespace,
            "labels": {**labels(project, release.service), ROLE: "release"},
        },
        "data": {"release": base64.b64encode(gzip.compress(text, mtime=0)).decode()},
        "immutable": True,
    }


def only_metadata(one: Object) -> bool:
    """Whether it is the Secret of a release, kept without its values."""
    return one["kind"] == "Secret" and not one.keys() & {"data", "stringData"}


def with_current_secret_values(objects: Iterable[Object], state: State) -> list[Object]:
    """Objects of a release, its service's own Secrets with the values that are there: no others are kept."""
    found = []
    for one in objects:
        there = state.find("Secret", one["metadata"]["name"]) if only_metadata(one) and not immutable(one) else None
        found.append({**one, "data": there.get("data", {})} if there else one)
    return found


def unpack(secret: Object) -> Kept:
    """A release from its Secret."""
    found = json.loads(gzip.decompress(base64.b64decode(secret["data"]["release"])))
    data = found["release"]
    settings = Service.model_validate(data.pop("settings"))
    return Kept(Release(**data, settings=settings), tuple(found["objects"]))


def generated(project: str, namespace: str, values: Mapping[str, str]) -> Object:
    """The Secret of generated secrets."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": GENERATED, "namespace": namespace, "labels": {**labels(project), ROLE: "generated"}},
        "stringData": dict(values),
    }


def pruned(state: State, service: str, wanted: Sequence[Object], keep: Sequence[Kept]) -> list[Object]:
    """The service's objects that no kept release has; pods, records and data are never among them."""
    mine = [o for o in state.objects if o["metadata"]["labels"].get(NAME) == service]
    return surplus([o for o in mine if ROLE not in o["metadata"]["labels"]], wanted, keep)


def surplus(objects: Iterable[Object], wanted: Iterable[Object], keep: Iterable[Kept]) -> list[Object]:
    """The objects that are neither wanted nor shared with a kept release; pods and data are never among them."""
    named = {(o["kind"], o["metadata"]["name"]) for o in wanted}
    named |= {(o["kind"], o["metadata"]["name"]) for kept in keep for o in kept.objects if immutable(o)}
    spared = {"Pod", "PersistentVolumeClaim"}
    return [o for o in objects if o["kind"] not in spared and (o["kind"], o["metadata"]["name"]) not in named]


def immutable(one: Mapping[str, Any]) -> bool:
    """Whether an object is one of those that releases share by a digest in their names."""
    return bool(one.get("immutable"))
