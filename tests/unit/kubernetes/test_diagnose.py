"""Causes, read from pods' states, events and last lines."""

from __future__ import annotations

import pytest

from slipway.kubernetes.diagnose import causes
from slipway.kubernetes.pods import oom_killed
from slipway.kubernetes.snapshot import Snapshot
from tests.unit.kubernetes.rendered import Json


def pod_that_ended(reason: str) -> Json:
    container = {
        "name": "c",
        "state": {"waiting": {}},
        "lastState": {"terminated": {"reason": reason, "exitCode": 137}},
    }
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"memory": "32Mi"}}}]},
        "status": {"containerStatuses": [container]},
    }


def test_a_pod_once_oom_killed_is_so_when_its_runtime_later_calls_it_an_error() -> None:
    seen = oom_killed([pod_that_ended("OOMKilled")])
    later = Snapshot({"status": {}}, [pod_that_ended("Error")], oom_killed=seen)
    assert [cause.summary for cause in causes(later)] == ["OOMKilled: it exceeded its memory limit of 32Mi"]
    assert oom_killed([pod_that_ended("Error")]) == set()


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("failed to resolve reference: 401 Unauthorized", "the registry lets no node pull i"),
        ("pull access denied, repository does not exist", "the registry lets no node pull i"),
        ("authorization failed: no basic auth credentials", "the registry lets no node pull i"),
        ("registry.example.com/i: not found", "image i is absent"),
        ("dial tcp: lookup registry.example.com: no such host", "image i can't be pulled"),
        ("failed to extract layer: mkdir /a: permission denied", "image i can't be pulled"),
    ],
)
def test_a_registry_that_refuses_differs_from_one_that_lacks_the_image(text: str, summary: str) -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": text}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "c", "state": waiting}]},
    }
    assert [cause.summary for cause in causes(Snapshot({"status": {}}, [pod]))] == [f"{summary}: {text}"]


def test_a_class_file_newer_than_the_jre_is_named_as_such() -> None:
    said = (
        "java.lang.UnsupportedClassVersionError: a/B has been compiled by a more recent version of the Java Runtime "
        "(class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0"
    )
    ended = {"terminated": {"exitCode": 1}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "auth", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "auth", "state": ended, "restartCount": 1}]},
    }
    found = causes(Snapshot({"status": {}}, [pod], logs={"p": said}))
    assert found[0].summary == "its classes are compiled for Java 21, and the image has Java 17"
