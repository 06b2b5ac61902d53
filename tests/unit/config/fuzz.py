"""Files of a project with anything in them: each is loaded, and used as far as a plan does, or refused as a Problem."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from slipway.config.load import load, load_hosts
from slipway.config.models import Environment, Hosts, Project, Service
from slipway.config.versions import Images, Tools
from slipway.deployers.docker.container import settings_digest
from slipway.errors import Problem
from slipway.kubernetes.manifests.render import digest, render
from tests.unit.config.conftest import PLAIN

Strategy = st.SearchStrategy[Any]
SERVICE = """\
name: web
build: none
port: 8080
replicas: 2
resources: {cpu: 100m, memory: 256Mi}
env: {LOG_LEVEL: info}
secrets: {AUTH_KEY: {generate: {bytes: 16}}}
health: {ready: /health/ready}
checks:
  - name: a user gets a token
    curl: 'curl -i "$BASE/tokens" -d "a=b"'
    expect: {status: 200, headers: {Authorization: '^Bearer'}, json: {$.user: ann}, within: 2}
    save: {TOKEN: {header: Authorization, match: 'Bearer (.+)'}}
"""
FILES: dict[str, tuple[type[BaseModel] | None, str]] = {
    "config/slipway.yaml": (Project, "name: shop\nshort: sh\nservices: apps\n"),
    "config/hosts.yaml": (Hosts, "known_hosts: ~/known\nhosts:\n  box1: {address: 203.0.113.7, user: ann, port: 22}\n"),
    "config/tools.yaml": (Tools, "docker: {minimum: 20.10, packages: {debian: [docker.io]}}\njava: {minimum: 17}\n"),
    "config/images.yaml": (Images, "bases:\n  clojure: {recipe: {kind: jlink, modules: [java.base]}}\nparts: {}\n"),
    "config/environments/local.yaml": (Environment, "secrets: {KEY: {env: KEY}}\nservices: {web: {replicas: 2, publish: 9001}}\n"),
    "apps/web/service.yaml": (Service, SERVICE),
    "apps/web/manifests/own.yaml": (None, "apiVersion: v1\nkind: Secret\nmetadata: {name: k, labels: {a: b}}\nstringData: {A: b}\n"),
}  # fmt: skip

TEXTS = [
    "", " ", "a", "web", "A", "KEY", "/", "/tmp", "/data", "~", "~x/y", "1.10", "0042", "1e3", "100m", "512", "256Mi", "4g", "180s", "1.34.4", "v1", "Secret",
    "List", "lein", "none", "curl $BASE", 'curl -d "{}" "$BASE/$X"', "curl $'\\u00fc", "$.a", "$[", "$[?@.a==1]", "$[99999999999999999999]", "a{99999999999}", "(" * 500, "[", "*", "a\0b", "\ud800",
    "ü", "a" * 300, "a/" * 3000, "2024-05-01", "YQ==", "../x", "x-y", "true",
]  # fmt: skip
SCALARS: Strategy = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(TEXTS)
ANYTHING: Strategy = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3)
)
OBJECTS: Strategy = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.just("v1") | ANYTHING,
        "kind": st.sampled_from(["Secret", "ConfigMap", "List", "Deployment"]) | ANYTHING,
        "metadata": st.fixed_dictionaries({"name": st.just("a")}, optional={"labels": ANYTHING, "annotations": ANYTHING}) | ANYTHING,
        "data": st.dictionaries(st.sampled_from(["A", "a"]), SCALARS) | ANYTHING,
        "stringData": st.dictionaries(st.sampled_from(["A", "a"]), SCALARS) | ANYTHING,
        "items": st.lists(ANYTHING, max_size=3),
        "spec": ANYTHING,
    },
)  # fmt: skip


def values(kind: Any) -> Strategy:
    """Values of a model's field: mostly of its type, sometimes of any."""
    origin, of = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return values(of[0])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if "root" in kind.model_fields:
            return values(kind.model_fields["root"].annotation)
        fields = {field.alias or name: field for name, field in kind.model_fields.items() if name != "folder"}
        required = {
            name: values(field.annotation) for name, field in fields.items() if field.default is PydanticUndefined
        }
        optional = {name: values(field.annotation) for name, field in fields.items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional) | ANYTHING
    if origin in {Union, UnionType}:
        return st.one_of(*(values(one) for one in of))
    if origin is dict:
        return st.dictionaries(st.sampled_from(["web", "A", "B", "$.a", "local"]), values(of[1]), max_size=2) | ANYTHING
    if origin is tuple:
        return st.lists(values(of[0]), max_size=2) | ANYTHING
    if origin is Literal:
        return st.sampled_from([*of, "x"])
    numbers = st.integers(-1, 70000)
    return {int: numbers, float: numbers | st.floats(), bool: st.booleans(), NoneType: st.none()}.get(kind, SCALARS)


def contents(name: str) -> st.SearchStrategy[bytes]:
    """Contents of a file: bytes, text of YAML's characters, a valid file with a part replaced, and values of its model."""
    model, valid = FILES[name]
    text = st.text(alphabet="nameport:{}[]-&*!|>'\"#%@ \n\t\r0a.<", max_size=60).map(str.encode)
    pieces = st.binary(max_size=4) | st.sampled_from(
        [b"\n", b"\t", b": ", b"- ", b"{", b"]", b"!x ", b"&a ", b"*a", b"~", b"''", b"\xef\xbb\xbf"]
    )
    raw = valid.encode()
    places = st.tuples(st.integers(0, len(raw)), st.integers(0, 30))
    changed = st.builds(lambda place, piece: raw[: place[0]] + piece + raw[sum(place) :], places, pieces)
    structure = (
        values(model)
        if model
        else OBJECTS | st.builds(lambda items: {"kind": "List", "items": items}, st.lists(OBJECTS))
    )
    return st.binary(max_size=40) | text | changed | structure.map(lambda value: json.dumps(value).encode())


class Team:
    """A project in a temporary folder, in which one file after the other is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, (_, text) in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(PLAIN if name.endswith("service.yaml") else text)
        (folder / "apps/web/Dockerfile").write_text("FROM scratch\n")

    def use(self, name: str, content: bytes) -> None:
        """Load the project with this file, and use what was loaded; a Problem must name the file."""
        before = (self.folder / name).read_bytes()
        (self.folder / name).write_bytes(content)
        try:
            load_hosts(self.folder, None)
            _use(self.folder)
        except Problem as problem:
            assert Path(name).name in problem.details or "the services folder" in problem.details, problem  # noqa: PT017  a refusal is one of the two right outcomes
        finally:
            (self.folder / name).write_bytes(before)


def _use(folder: Path) -> None:
    config = load(folder)
    for environment in config.environments.values():
        assert environment.location
        for name in config.services:
            service = config.service_for(environment, name)
            assert settings_digest(service, {})
            objects = render(config.project.name, "ns", service, "IMAGE", dict.fromkeys(service.secrets, "x"))
            assert digest(objects, [check.model_dump(mode="json") for check in service.checks])
            assert Service.model_validate_json(service.model_dump_json(exclude={"folder"}, by_alias=True))
