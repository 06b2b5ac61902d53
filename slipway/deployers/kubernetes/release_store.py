"""What a namespace stores: releases as labelled Secrets, generated secrets in another, and the objects of both."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from slipway.config.models import Service
from slipway.deployers.release import Release
from slipway.engine.threads import Threads
from slipway.errors import NextCommand
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import (
    DEV,
    GENERATED,
    MANAGED_BY,
    NAME,
    NAMESPACE,
    PART_OF,
    ROLE,
    labels,
    release_secret_name,
    selector,
)
from slipway.kubernetes.manifests.render import without_secret_values
from slipway.kubernetes.objects import Object, group, identity
from slipway.kubernetes.rights import unless_forbidden

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
Place = tuple[str, str, str]  # apiVersion, kind and namespace of a list; "" is all of the cluster
CONNECTIONS = 3  # at once: a TLS handshake costs more than a list
_VERSIONS = {kind: version for version, kind in KINDS}
_NEVER_PRUNED = {("", "Pod"), ("", "PersistentVolumeClaim"), ("", "PersistentVolume"), ("", "Namespace")}


@dataclass(frozen=True)
class StoredRelease:
    """A recorded release and its objects; a Secret among them has no values."""

    release: Release
    objects: tuple[Object, ...]

    def names(self, kind: str) -> set[str]:
        """The names of its objects of a kind."""
        return {one["metadata"]["name"] for one in self.objects if one["kind"] == kind}


@dataclass(frozen=True)
class State:
    """What a namespace has of one project. `down` says why the cluster can't be reached; then nothing else is known.

    `elsewhere` are the own objects of its services at cluster scope and in other namespaces; `dev_pods` are those of
    services under development.
    """

    objects: tuple[Object, ...] = ()
    dev_pods: tuple[Object, ...] = field(default=(), kw_only=True)
    elsewhere: tuple[Object, ...] = field(default=(), kw_only=True)
    namespace: bool = False
    down: str = ""
    stored: tuple[StoredRelease, ...] = ()
    unreadable: tuple[str, ...] = ()  # the Secrets of releases that can't be read
    runtimes: frozenset[str] = frozenset()  # of the nodes, where they were asked for: containerd://1.7.28
    commands: tuple[NextCommand, ...] = ()  # that start a cluster which is down

    def find(self, kind: str, name: str) -> Object | None:
        """The object of that kind and name in the namespace; a Service is Kubernetes' own, not Knative's."""
        found = (o for o in self.objects if o["kind"] == kind and o["metadata"]["name"] == name)
        return next((o for o in found if _VERSIONS.get(kind) in {None, o["apiVersion"]}), None)

    def same(self, one: Object) -> Object | None:
        """The live object that is `one`."""
        return next((o for o in (*self.objects, *self.elsewhere) if identity(o) == identity(one)), None)

    def of(self, service: str, kind: str) -> list[Object]:
        """A service's objects of a kind."""
        own = (o for o in self.objects if o["metadata"].get("labels", {}).get(NAME) == service)
        return [o for o in own if o["kind"] == kind and _VERSIONS.get(kind) in {None, o["apiVersion"]}]

    def releases(self, service: str | None = None) -> list[StoredRelease]:
        """The stored releases, newest first."""
        return [one for one in self.stored if service in {None, one.release.service}]

    def last(self, service: str) -> int:
        """The highest number of a service's releases, readable or not; 0 before the first."""
        names = [
            o["metadata"]["name"] for o in self.of(service, "Secret") if o["metadata"]["labels"].get(ROLE) == "release"
        ]
        return max((int(number) for name in names if (number := name.rpartition(".")[2]).isdigit()), default=0)

    @property
    def generated(self) -> dict[str, str]:
        """The generated secrets, by SERVICE.NAME."""
        found = self.find("Secret", GENERATED)
        return {k: base64.b64decode(v).decode() for k, v in (found or {}).get("data", {}).items()}


def read(cluster: Client, project: str, namespace: str, *, nodes: bool = False) -> State:
    """One list call per kind, in parallel: the kinds that Slipway renders, and those of stored releases' own manifests.

    `nodes`: also the container runtimes of the nodes, which matter where Slipway made the cluster.

    Raises Unreachable when the API does not answer, and ApiRefused when it refuses.
    """
    pool = Threads(CONNECTIONS)

    def listed(kinds: Iterable[Place], own: str = selector(project)) -> list[Object]:
        lists = [pool.submit(cluster.list, *place, everybody if place == pods else own) for place in kinds]
        return [one for found in lists for one in found.result()]

    pods, everybody = ("v1", "Pod", namespace), f"{PART_OF}={project}"  # also those of services under development

    found = pool.submit(_namespace_exists, cluster, namespace)
    node_list = pool.submit(cluster.list, "v1", "Node", None) if nodes else None
    by_manager = partial(_managed_by, listed((*kind, namespace) for kind in KINDS))
    objects, dev_pods = by_manager("slipway"), by_manager(DEV)
    exists = found.result()
    stored, unreadable = _readable([one for one in objects if one["metadata"]["labels"].get(ROLE) == "release"])
    places = [place for place in sorted(extra_places(stored, namespace)) if cluster.has_kind(*place[:2])]
    inside = listed(place for place in places if place[2] == namespace)
    objects += [one for one in inside if one["metadata"].get("namespace") == namespace]
    elsewhere = listed((p for p in places if p[2] != namespace), f"{selector(project)},{NAMESPACE}={namespace}")
    infos = [one["status"]["nodeInfo"] for one in (node_list.result() if node_list else ())]
    stored.sort(key=_newest_first)
    runtimes = frozenset(info["containerRuntimeVersion"] for info in infos)
    state = State(tuple(objects), exists, "", tuple(stored), tuple(unreadable), runtimes)
    return replace(state, elsewhere=tuple(elsewhere), dev_pods=tuple(dev_pods))


def _managed_by(objects: Iterable[Object], manager: str) -> list[Object]:
    return [one for one in objects if one["metadata"]["labels"].get(MANAGED_BY) == manager]


def _namespace_exists(cluster: Client, namespace: str) -> bool:
    """Whether there is a namespace. Who may not ask has rights in it, or the lists of what is in it are refused too."""
    return unless_forbidden(partial(cluster.get, "v1", "Namespace", namespace), {}) is not None


def _readable(secrets: Iterable[Object]) -> tuple[list[StoredRelease], list[str]]:
    """The releases, and the names of Secrets that somebody edited or another version of Slipway wrote."""
    stored, unreadable = [], []
    for one in secrets:
        try:
            stored.append(unpack(one))
        except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error):
            unreadable.append(one["metadata"]["name"])
    return stored, unreadable


def _newest_first(stored: StoredRelease) -> tuple[str, int]:
    return stored.release.service, -stored.release.number


def extra_places(stored: Iterable[StoredRelease], namespace: str) -> set[Place]:
    """Where releases have objects besides the kinds that Slipway renders in the namespace."""
    places = {
        (str(one["apiVersion"]), str(one["kind"]), str(one["metadata"].get("namespace") or ""))
        for release in stored
        for one in release.objects
    }
    return places - {(*kind, namespace) for kind in KINDS}


def pack(project: str, namespace: str, release: Release, objects: Iterable[Object]) -> Object:
    """A release as its Secret: immutable, and without the value of any secret."""
    data = {key: value for key, value in vars(release).items() if key not in {"settings", "checks"}}
    data["checks"] = dict(release.checks)
    data["settings"] = release.settings.model_dump(mode="json", by_alias=True, exclude={"folder"})
    text = json.dumps(
        {"release": data, "objects": [without_secret_values(one) for one in objects]}, sort_keys=True
    ).encode()
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
    """Whether it is a Secret that was stored without its values."""
    return one["kind"] == "Secret" and not one.keys() & {"data", "stringData"}


def with_current_secret_values(objects: Iterable[Object], state: State) -> list[Object]:
    """A release's objects; Secrets of the service's own manifests get their current values, as none are stored."""
    found = []
    for one in objects:
        live = state.find("Secret", one["metadata"]["name"]) if only_metadata(one) and not immutable(one) else None
        found.append({**one, "data": live.get("data", {})} if live else one)
    return found


def unpack(secret: Object) -> StoredRelease:
    """A release from its Secret."""
    found = json.loads(gzip.decompress(base64.b64decode(secret["data"]["release"])))
    data = found["release"]
    settings = Service.model_validate(data.pop("settings"))
    return StoredRelease(Release(**data, settings=settings), tuple(found["objects"]))


def generated(project: str, namespace: str, values: Mapping[str, str]) -> Object:
    """The Secret of generated secrets."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": GENERATED, "namespace": namespace, "labels": {**labels(project), ROLE: "generated"}},
        "stringData": dict(values),
    }


def pruned(state: State, service: str, wanted: Sequence[Object], keep: Sequence[StoredRelease]) -> list[Object]:
    """The service's objects that none of the releases to keep has; never pods, records or data."""
    own = [o for o in (*state.objects, *state.elsewhere) if o["metadata"]["labels"].get(NAME) == service]
    return surplus([o for o in own if ROLE not in o["metadata"]["labels"]], wanted, keep)


def surplus(objects: Iterable[Object], wanted: Iterable[Object], keep: Iterable[StoredRelease]) -> list[Object]:
    """The objects that are neither wanted nor shared with a release to keep; never pods or data."""
    named = {identity(o) for o in wanted}
    named |= {identity(o) for stored in keep for o in stored.objects if immutable(o)}
    return [o for o in objects if identity(o) not in named and not holds_data(o)]


def holds_data(one: Object) -> bool:
    """Whether an object is never deleted because no release has it: what is in it would go with it."""
    return (group(one), one["kind"]) in _NEVER_PRUNED


def immutable(one: Object) -> bool:
    """Whether an object is one that releases share: its name has a digest of its content."""
    return bool(one.get("immutable"))
