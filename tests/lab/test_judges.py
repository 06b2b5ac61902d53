"""Readers of Slipway's own, judged by those of Kubernetes: the API server says what is drift, kubectl what a file is."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from slipway.config.kubernetes_yaml import json_value
from slipway.config.manifests import objects
from slipway.config.models import Service
from slipway.config.yaml_reader import Unreadable
from slipway.kubernetes.api import KubeContext, encoded
from slipway.kubernetes.client import Client
from slipway.kubernetes.drift import differences
from slipway.kubernetes.manifests.own import own_manifests
from slipway.kubernetes.manifests.render import for_release, render
from slipway.kubernetes.objects import Object, identity
from tests.lab.toys import Toys
from tests.unit.kubernetes.test_quantities import QUANTITIES

pytestmark = pytest.mark.lab

Json = dict[str, Any]
IMAGE = "registry.example.org/web@sha256:" + "0" * 64
few = settings(
    max_examples=5, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def stored(objects: Sequence[Object]) -> list[Object]:
    """The objects as the API server would store them if Slipway applied them."""
    cluster = Client(KubeContext("minikube"))
    return [cluster.apply(one, force=True, dry_run=True) for one in objects]


def rendered(toys: Toys, **changes: Any) -> list[Object]:
    service = Service.model_validate({"name": "web", "port": 8080, **changes})
    objects = render("judges", toys.name, service, IMAGE, dict.fromkeys(service.secrets, "geheim"))
    return for_release(objects, IMAGE, {})


def own(toys: Toys, *documents: str) -> list[Object]:
    """The objects of own manifests, each in a file of its own."""
    with TemporaryDirectory() as folder:
        for number, text in enumerate(documents):
            file = Path(folder) / "manifests" / f"{number:04}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return own_manifests("judges", toys.name, Service(name="web", folder=Path(folder)))


def values(one: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in an object that is neither a mapping nor a list, with its path."""
    if isinstance(one, dict | list):
        for key, inner in one.items() if isinstance(one, dict) else enumerate(one):
            yield from values(inner, (*path, key))
    else:
        yield path, one


def shape(one: Object) -> list[tuple[Any, ...]]:
    """Where an object has values: what the live one has besides, only its managedFields tell."""
    return [path for path, _ in values(one)]


def compared(one: Object) -> Json:
    """What a person can change of an object whose data is compared."""
    return {key: value for key, value in one.items() if key not in {"metadata", "status"}}


def judge(variants: Sequence[Object]) -> None:
    """Of variants of one object, two are drift exactly where the API server stores them as different."""
    live = [_unmanaged(one) for one in stored(variants)]
    for wanted, kept in zip(variants, live, strict=True):
        for other, found in zip(variants, live, strict=True):
            if identity(wanted) == identity(other) and shape(wanted) == shape(other):
                drift = differences([wanted], [found])
                one, two = dict(values(compared(kept))), dict(values(compared(found)))
                changed = [path for path in {**one, **two} if not same(path, one.get(path, ""), two.get(path, ""))]
                assert bool(drift) is bool(changed), (drift, changed, one, two)


def _unmanaged(one: Object) -> Object:
    """The object without its managedFields, which say that Slipway set all of it."""
    return {**one, "metadata": {key: value for key, value in one["metadata"].items() if key != "managedFields"}}


def same(path: tuple[Any, ...], one: Any, two: Any) -> bool:
    """Whether two stored values are one: a quantity keeps its family of units, so that 1G and 1e9 are both stored."""
    if one == two or not {"limits", "requests"} & {*path}:
        return bool(one == two)
    return bool(parse_quantity(one) == parse_quantity(two))  # type: ignore[no-untyped-call]


CPUS = ["100m", "0.1", "0.10", "1", "1000m", "1.0", ".25", "2.125"]
SIZES = ["256Mi", "0.25Gi", "262144Ki", "268435456", "1G", "1e9", "1000M", "1.5Gi", "1536Mi", "0.7Gi"]
TEXTS = ["", "0.10", "1e3", "1000", "100m", "0.1", "true", "a\nb\r\n", "\u2028 ü \t", "$(A)", "{}", "null", " "]
FAMILIES: dict[str, list[Json]] = {
    "cpu": [{"resources": {"cpu": cpu}} for cpu in CPUS],
    "memory": [{"resources": {"memory": size}} for size in SIZES],
    "limits": [{"resources": {"limits": {"cpu": cpu, "memory": size}}} for cpu, size in zip(CPUS, SIZES[2:], strict=True)],
    "storage": [{"storage": {"data": {"path": path, "size": size}}} for size in SIZES for path in ("/data", "/data/x")],
    "port": [{"port": port} for port in (1024, 8080, 65535)],
    "low port": [{"port": port} for port in (1, 80, 1023)],
    "replicas": [{"replicas": number} for number in (1, 2, 30)],
    "autoscale": [{"replicas": 2, "autoscale": {"max": most, "cpu": cpu}} for most in (2, 6) for cpu in (1, 70, 100)],
    "paths": [{"health": {"ready": path, "live": live}} for path in ("/", "/a?b=c&d=é") for live in ("/", "/live")],
    "exec": [{"health": {"exec": ["true", text]}} for text in TEXTS],
    "start_within": [{"start_within": text} for text in ("1s", "60s", "1m", "1m30s", "90s", "60m")],
    "env": [{"env": {"A": text, "B": text}} for text in [*TEXTS, "\U0001f600"]],
    "secrets": [{"secrets": {name: {"generate": {}}}} for name in ("A", "B")],
}  # fmt: skip


def test_what_a_service_file_sets_is_drift_exactly_where_the_api_server_stores_another_value(toys: Toys) -> None:
    for family in FAMILIES.values():
        sets = [rendered(toys, **changes) for changes in family]
        judge([one for objects in sets for one in objects])


def test_every_value_of_a_service_that_is_changed_is_drift(toys: Toys) -> None:
    """An empty value has a test of its own: whether the server filled it in, only its managedFields say."""
    objects = [one for family in FAMILIES.values() for one in rendered(toys, **family[-1])]
    for wanted, live in zip(objects, stored(objects), strict=True):
        for path, value in values(compared(wanted)):
            if path[0] in {"apiVersion", "kind", "stringData"} or value in ("", 0):
                continue
            changed = copy.deepcopy(live)
            place: Any = changed
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = (
                (not value) if isinstance(value, bool) else 1 + value if isinstance(value, int) else f"1{value}"
            )
            assert differences([wanted], [changed]), path
            del place[path[-1]]
            assert differences([wanted], [changed]), path


def written(value: object) -> str:
    """A value as YAML, in which no character is an escape of two halves."""
    return encoded(value).decode()


def config_map(texts: dict[str, str]) -> str:
    return written({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": texts})


def workload(limits: Json, text: str) -> str:
    """A Deployment with such limits, and with a text in each place that is none of a quantity."""
    container = {"name": "a", "image": "IMAGE", "resources": {"limits": limits}, "args": [text], "env": [{"name": "A", "value": text}]}  # fmt: skip
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": text}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    return written({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "own"}, "spec": spec})


ANY_TEXT = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.integers(0, 10**12) | st.floats(0, 10**6).map(lambda number: round(number, 3))
LIMITS = st.fixed_dictionaries({"cpu": QUANTITIES | NUMBERS, "memory": QUANTITIES | NUMBERS})


@few
@given(st.lists(ANY_TEXT, min_size=12, max_size=12))
def test_a_text_of_an_own_manifest_is_drift_exactly_where_the_api_server_stores_another(
    toys: Toys, texts: list[str]
) -> None:
    judge(own(toys, *(config_map({"A": text, "B": "0.10"}) for text in texts)))


@few
@given(st.lists(st.tuples(LIMITS, ANY_TEXT), min_size=12, max_size=12))
def test_a_quantity_of_an_own_manifest_is_drift_exactly_where_the_api_server_stores_another(
    toys: Toys, given_: list[tuple[Json, str]]
) -> None:
    judge(own(toys, *(workload(limits, text) for limits, text in given_)))


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: own}
spec:
  replicas: 0
  strategy:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      dnsPolicy: ""
      nodeSelector:
      containers: [{name: a, image: b, livenessProbe: {periodSeconds: 0, httpGet: {path: "", port: 80}}}]
"""
LEFT_OPEN = [
    ("configmap", {"data": {"A": "b"}}, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\ndata: {A: , B: ''}\n"),
    ("configmap", {"data": {"B": "c"}}, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\ndata: {A: , B: ''}\n"),
    (
        "configmap",
        {"binaryData": {"A": "Yg=="}},
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\nbinaryData: {A: 'YR=='}\n",
    ),
    ("secret", {"data": {"A": "Yg=="}}, 'apiVersion: v1\nkind: Secret\nmetadata: {name: own}\ndata: {A: "YR\\n=="}\n'),
    (
        "service",
        {"spec": {"type": "NodePort"}},
        "apiVersion: v1\nkind: Service\nmetadata: {name: own}\nspec: {type: '', clusterIP: '', selector: {a: b}, ports: [{port: 80, targetPort: 0}]}\n",
    ),
    (
        "deployment",
        {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
        DEPLOYMENT,
    ),
]


@pytest.mark.parametrize(("kind", "change", "text"), LEFT_OPEN)
def test_what_a_manifest_leaves_open_is_no_drift_until_a_person_sets_it(
    toys: Toys, kind: str, change: Json, text: str
) -> None:
    (wanted,) = own(toys, text)
    try:
        assert differences([wanted], [Client(KubeContext("minikube")).apply(wanted)]) == []
        toys.kubectl("patch", kind, "own", "--patch", json.dumps(change))
        live = json.loads(toys.kubectl("get", kind, "own", "--output=json", "--show-managed-fields"))
        assert differences([wanted], [live]) != []
    finally:
        toys.kubectl("delete", kind, "own", "--wait=false")


# Where a file is refused that kubectl reads: it would drop a value, or read something else than is written.
REFUSED = re.compile("duplicate key|JSON has no number|unknown tag|rounds the key|a key can't be")
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"
SCALARS = st.text("0123456789abxoeE_+-.yYnNtruefalsi~:T", max_size=8) | st.sampled_from(
    ["0400", "1e3", "1.10", "-9223372036854775809", "18446744073709551616", "1e22", ".1_0", "._1", ".1__0", "1_0.5", "0x1p4", "0o8", "0b12", "+.5", "-.5_5",
     "yes", "No", "on", "y", "~", "null", "2024-05-01", "2024-05-01T10:00:00Z", "12:30:45", "<<", "=", "'0400'", '"a\\tb\\u00fc\\x41"', "''", "a b", "a#b", "a # c",
     "!!str 1", "!!int 0x10", "!!float 3", "!!null ''", "!!str", "|\n    a\n     b\n\n    c\n", ">-\n    a\n    b\n\n      c\n", "|2-\n      a\n", "|+\n    a\n\n", "a\n    b\n\n    c", '"a\n    b\n\n    c"', "'a\n    b'"]
)  # fmt: skip
FLOWS = st.lists(SCALARS.filter(lambda text: "\n" not in text and "#" not in text), min_size=1, max_size=3)
VALUES = SCALARS | FLOWS.map(lambda found: f"[{', '.join(found)}]") | FLOWS.map(lambda found: f"{{a: {', b: '.join(found[:2])}}}") | FLOWS.map(lambda found: f"{{{found[0]}: 1}}")  # fmt: skip
PARTS = st.lists(VALUES, min_size=1, max_size=3).map(
    lambda found: "".join(f"  k{number}: {text}\n" for number, text in enumerate(found))
)
BODIES = st.sampled_from(
    ["spec:\nPARTS", "# c\nspec: # c\nPARTS", "x: &x {a: 1, k0: 2}\nspec:\n  <<: *x\nPARTS", "x: &x\nPARTSy: *x\nz: {<<: [*x, {q: 0}]}\n"]
)  # fmt: skip
OBJECTS = st.builds(lambda body, parts: HEAD + body.replace("PARTS", parts), BODIES, PARTS)
LISTS = OBJECTS.map(lambda text: "apiVersion: v1\nkind: List\nitems:\n- " + text.rstrip().replace("\n", "\n  ") + "\n")
FILES = st.builds(
    lambda bom, documents, between, end: bom + between.join(documents).replace("\n", end),
    st.sampled_from(["", "", "", "\ufeff", "---\n", "# c\n"]),
    st.lists(OBJECTS | LISTS, min_size=1, max_size=2),
    st.sampled_from(["---\n", "--- # c\n", "---\n---\n", "---\n# c\n---\n", "---   \n"]),
    st.sampled_from(["\n", "\n", "\r\n"]),
)


def as_kubectl_reads(folder: Path) -> tuple[dict[str, list[Json]], set[str]]:
    """The objects of each file in a folder, by the first part of their names, and the files that kubectl refuses."""
    words = ["kubectl", "annotate", "--local", f"--filename={folder}", "--output=json", "a=b"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found: dict[str, list[Json]] = {}
    decoder, rest = json.JSONDecoder(), done.stdout.lstrip()
    while rest:
        answer, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()
        for one in answer["items"] if answer["kind"] == "List" else [answer]:
            del one["metadata"]["annotations"]
            found.setdefault(one["metadata"]["name"], []).append(one)
    return found, {path.stem for path in folder.iterdir() if path.name in done.stderr}


def as_slipway_reads(file: Path) -> list[Any] | str:
    """The same of one file, or why it is refused."""
    try:
        return [json_value(one.data) for one in objects(file)]
    except Unreadable as error:
        return error.summary


@few
@given(st.lists(FILES, min_size=40, max_size=40))
def test_a_manifest_is_what_kubectl_reads_or_is_refused(files: list[str]) -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        for number, text in enumerate(files):
            (folder / f"f{number}.yaml").write_bytes(text.replace("NAME", f"f{number}").encode())
        found, refused = as_kubectl_reads(folder)
        for number, text in enumerate(files):
            name = f"f{number}"
            read = as_slipway_reads(folder / f"{name}.yaml")
            if name in refused:
                continue
            if isinstance(read, str):
                assert REFUSED.search(read), (text, read)
            else:
                assert read == found[name], text
        assert len(found) > len(files) / 2
