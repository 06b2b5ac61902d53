"""A service's own manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.kubernetes.manifests.own import own_manifests
from tests.unit.config.conftest import errors


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("kind: [\n", "own.yaml:2: "),
        ("a: 1\n---\n- b\n", "own.yaml:1: an object lacks apiVersion, kind, metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: x}\n---\napiVersion: v1\n", "own.yaml:5: an object lacks kind"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  A: not base64!\n", "own.yaml:5: data.A must be"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {A: 5}\n", "stringData.A must be a string"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: x, labels: [a]}\n", "metadata.labels must be a mapping"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  A: b\n  B: yes\n",
            "own.yaml:6: data.B must be a string, and kubectl reads true here · quote the value",
        ),
        (
            "apiVersion: v1\nkind: X\nmetadata:\n  name: x\n  labels:\n    version: 1.10\n",
            "own.yaml:6: metadata.labels.version must be a string, and kubectl reads 1.1 here",
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: [a]\n", "own.yaml:4: data must be a mapping"),
        (
            "apiVersion: v1\nkind: X\nmetadata: {name: on}\n",
            "own.yaml:1: an object lacks metadata.name · each must be a string",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n- kind: B\n",
            "own.yaml:5: an object lacks apiVersion, metadata.name",
        ),
    ],
)
def test_an_error_in_a_services_own_manifest_is_reported_with_its_line(team: Path, text: str, error: str) -> None:
    own = team / "apps" / "web" / "manifests" / "own.yaml"
    own.parent.mkdir()
    own.write_text(text)
    assert error in errors(team)[0]


def test_empty_sections_are_empty_and_a_list_is_its_items(team: Path) -> None:
    own = team / "apps" / "web" / "manifests"
    own.mkdir()
    (own / "a.yaml").write_text("""
apiVersion: v1
kind: List
metadata:
items:
- apiVersion: v1
  kind: Secret
  metadata:
    name: key
    labels:
    annotations:
      # none
  data:
  stringData:
- {apiVersion: v1, kind: ConfigMapList, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {A: b}}]}
---
# nothing
""")
    found = own_manifests("shop", "ns", load(team).services["web"])
    assert [(one["kind"], one["metadata"]["name"], one["data"]) for one in found] == [
        ("Secret", "key", {}),
        ("ConfigMap", "one", {"A": "b"}),
    ]


def test_values_are_those_that_kubectl_reads(team: Path) -> None:
    own = team / "apps" / "web" / "manifests"
    own.mkdir()
    (own / "a.yaml").write_text("""
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  hostNetwork: no
  volumes: [{name: k, secret: {secretName: k, defaultMode: 0400}}]
---
---
apiVersion: v1
kind: ConfigMap
metadata: {name: dates, annotations: {since: 2024-05-01T10:00:00Z}}
data: {day: 2024-05-01, empty: , mode: "0400"}
""")
    pod, dates = own_manifests("shop", "ns", load(team).services["web"])
    assert pod["spec"] == {
        "hostNetwork": False,
        "volumes": [{"name": "k", "secret": {"secretName": "k", "defaultMode": 256}}],
    }
    assert dates["metadata"]["annotations"] == {"since": "2024-05-01T10:00:00Z"}
    assert dates["data"] == {"day": "2024-05-01", "empty": None, "mode": "0400"}
