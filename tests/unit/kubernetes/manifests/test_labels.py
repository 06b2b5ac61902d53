"""The labels by which a project's objects are found."""

from __future__ import annotations

from slipway.kubernetes.manifests.labels import selector


def test_a_services_objects_are_selected_by_all_of_its_labels() -> None:
    assert selector("hh", "auth") == (
        "app.kubernetes.io/managed-by=slipway,app.kubernetes.io/part-of=hh,app.kubernetes.io/name=auth"
    )
