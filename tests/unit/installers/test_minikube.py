"""Which kubectl, minikube and curl will do, and what minikube's cache lacks of a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.installers import curl, kubectl
from slipway.installers.bundle import Bundle
from slipway.installers.kubectl import kubectl_differs
from slipway.installers.minikube import cache_differs, minikube_differs
from tests.unit.installers.test_bundle import bundle

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = "1.34.4"


def facts(**changes: object) -> Facts:
    return Facts(kernel="Linux", arch="x86_64", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("minikube", "", "minikube is not installed"),
        ("minikube", "1.33.1", "minikube 1.33.1 is older than 1.34.0"),
        ("minikube", "1.38.1", None),
        ("minikube", "what?", "minikube reports version 'what?'"),
        ("kubectl", "1.33.9", None),
        ("kubectl", "1.35.0", None),
        ("kubectl", "1.36.0", "more than one minor version"),
        ("kubectl", "1.32.0", "more than one minor version"),
    ],
)
def test_which_programs_will_do(name: str, version: str, reason: str | None) -> None:
    known = facts(tools={name: version} if version else {})
    found = kubectl_differs(known, KUBERNETES) if name == "kubectl" else minikube_differs(known, "1.34.0")
    assert (found is None) if reason is None else (found is not None and reason in found.reason)


def test_minikubes_cache_lacks_what_the_bundle_has(tmp_path: Path) -> None:
    found = cache_differs(facts(), bundle(tmp_path), KUBERNETES)
    assert found is not None
    assert "kubelet" in found.reason
    assert cache_differs(facts(kubernetes={f"v{KUBERNETES}": ("kubelet",)}), Bundle(tmp_path), KUBERNETES) is None


def test_curl_and_for_a_cluster_of_others_kubectl_are_installed_where_missing() -> None:
    config = load(ROOT)
    for known, lacking in (
        (facts(), {"curl is not installed", "kubectl is not installed"}),
        (facts(has=frozenset({"curl"}), tools={"kubectl": "1.20.0"}), set()),
    ):
        host = FakeHost("this-machine", known)
        steps = [*curl.steps(host), *kubectl.steps(host, config.tools, None)]
        assert {change.reason for step in steps if (change := step.check(known))} == lacking
