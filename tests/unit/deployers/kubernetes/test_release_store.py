"""What a namespace keeps: releases as Secrets, and what is pruned."""

from __future__ import annotations

import json

from slipway.deployers.kubernetes.release_store import State, pack, pruned, read, unpack
from slipway.deployers.release import Release
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from slipway.kubernetes.objects import Object
from tests.unit.kubernetes.rendered import Json, rendered, service


def test_a_release_is_stored_in_a_secret_and_read_again_without_a_secrets_value() -> None:
    release = Release("auth", 3, "r/auth@sha256:1", "src", "man", "t", "me", "abc", {"it answers": True}, service())
    packed = pack("hh", "hh", release, rendered("geheim"))
    assert packed["immutable"]
    kept = unpack(packed)
    assert kept.release == release
    assert "geheim" not in json.dumps(kept.objects)
    assert kept.names("Secret") == {rendered()[1]["metadata"]["name"]}


def test_pruning_keeps_data_records_and_what_a_stored_release_needs() -> None:
    old, new = rendered("old"), rendered("new")
    release = Release("auth", 1, "i", "s", "m", "t", "me", "", {}, service())
    kept = unpack(pack("hh", "hh", release, old))
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "d", "labels": {"app.kubernetes.io/name": "auth"}},
    }
    extra = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "gone", "labels": {"app.kubernetes.io/name": "auth"}},
    }
    other = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "labels": {"app.kubernetes.io/name": "order"}},
    }
    state = State((*old, *new, claim, extra, other, pack("hh", "hh", release, old)))
    assert [one["metadata"]["name"] for one in pruned(state, "auth", new, [kept])] == ["gone"]
    without = [one["metadata"]["name"] for one in pruned(state, "auth", new, [])]
    assert sorted(without) == sorted(["gone", old[1]["metadata"]["name"]])


def test_a_kind_whose_definition_was_deleted_is_not_listed() -> None:
    release = Release("auth", 1, "i", "s", "m", "t", "me", "", {}, service())
    rule = {"apiVersion": "example.org/v1", "kind": "Rule", "metadata": {"name": "r", "namespace": "hh"}}
    record = pack("hh", "hh", release, [rule])
    asked: list[str] = []

    class Listed(Client):
        def get(self, *_: str | None) -> Json:
            return {}

        def list(self, _: str, kind: str, *__: str | None) -> list[Object]:
            asked.append(kind)
            return [record] if kind == "Secret" else []

        def has_kind(self, _: str, kind: str) -> bool:
            return kind != "Rule"

    assert read(Listed(KubeContext("x")), "hh", "hh").releases("auth")[0].release == release
    assert "Secret" in asked
    assert "Rule" not in asked
