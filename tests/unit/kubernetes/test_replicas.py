"""How many replicas a release comes with."""

from __future__ import annotations

from slipway.kubernetes.manifests.labels import SCALED
from slipway.kubernetes.replicas import with_replicas
from tests.unit.kubernetes.rendered import deployment, editable, rendered, service


def test_a_scaled_number_is_kept_until_the_files_own_changes() -> None:
    live = {"metadata": {"annotations": {SCALED: "5 of 2"}}}
    kept = editable(with_replicas(rendered(), live, service()))
    changed = editable(with_replicas(rendered(replicas=3), live, service(replicas=3)))
    assert deployment(kept)["spec"]["replicas"] == 5
    assert deployment(changed)["spec"]["replicas"] == 3
