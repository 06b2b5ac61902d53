"""What a local release consists of and how drift is found, on data alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.container import container_spec, differs, publishes, settings_digest
from slipway.docker.labels import SOURCE, Names
from slipway.docker.state import Container
from slipway.secrets.fingerprint import fingerprint

NAMES = Names("shop", "sh")
SERVICE = Service(name="web", port=80, publish=8000, env={"LEVEL": "info"})
SECRETS = {"KEY": "v$'ü"}
WANTED = DesiredRelease(SERVICE, "src1", SECRETS, settings_digest(SERVICE, SECRETS), "ann", "sha256:1")


def container(**changes: Any) -> Container:
    want = container_spec(NAMES, WANTED, 1)
    same = Container(
        id="c", name=want.name, image=want.image, labels=want.labels, state="running",
        env=tuple(f"{k}={v}" for k, v in want.env.items()), ports={80: ("127.0.0.1", 8000)},
        aliases={"shop": ("web",)}, memory=want.memory, read_only=True, restart="unless-stopped",
    )  # fmt: skip
    return replace(same, **changes)


def test_a_container_as_it_was_created_does_not_differ() -> None:
    assert differs(container(), container_spec(NAMES, WANTED, 2), "its settings") is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "exited"}, "it is exited"),
        ({"state": "paused"}, "it is paused"),
        ({"state": "restarting"}, "it is restarting"),
        ({"labels": {SOURCE: "src1"}}, "its settings"),
        ({"image": "sha256:2"}, "it runs another image"),
        ({"env": ("LEVEL=debug", "KEY=v$'ü")}, "its environment variables differ: LEVEL"),
        ({"env": ("LEVEL=info", "KEY=other")}, "its environment variables differ: KEY"),
        ({"ports": {}}, "its ports were changed"),
        ({"ports": {80: ("0.0.0.0", 8000)}}, "its ports were changed"),
        ({"memory": 1}, "its memory limit was changed"),
        ({"restart": "no"}, "its restart policy was changed"),
        ({"aliases": {"bridge": ()}}, "it is not on network shop"),
        ({"read_only": False}, "its root file system is writable"),
    ],
)
def test_a_change_by_hand_is_named(changes: dict[str, Any], reason: str) -> None:
    assert differs(container(**changes), container_spec(NAMES, WANTED, 2), "its settings") == reason


@pytest.mark.parametrize(
    ("state", "has_it"),
    [("running", True), ("paused", True), ("restarting", True), ("created", False), ("exited", False), ("dead", False)],
)
def test_a_service_has_its_own_port_for_as_long_as_its_container_is_active(state: str, *, has_it: bool) -> None:
    assert publishes(container(state=state), "web", 8000) is has_it
    assert not publishes(container(state=state), "web", 8001)
    assert not publishes(container(state=state), "other", 8000)


def test_a_missing_container_is_named_too() -> None:
    assert differs(None, container_spec(NAMES, WANTED, 1), "") == "sh_web_01 does not exist"


@pytest.mark.parametrize(
    "change",
    [
        {"env": {"LEVEL": "debug"}},
        {"port": 81},
        {"publish": 8001},
        {"checks": ({"name": "x", "curl": "curl $BASE", "expect": {}},)},
    ],
)
def test_every_setting_is_in_the_manifests_digest(change: dict[str, Any]) -> None:
    other = Service.model_validate({**SERVICE.model_dump(by_alias=True), **change})
    assert settings_digest(other, {}) != settings_digest(SERVICE, {})


def test_a_secret_changes_the_manifest_and_is_not_in_it() -> None:
    one, two = (
        container_spec(NAMES, replace(WANTED, secrets=secrets, manifest=settings_digest(SERVICE, secrets)), 1)
        for secrets in ({"KEY": "aaaa"}, {"KEY": "bbbb"})
    )
    assert one.labels != two.labels
    assert "aaaa" not in str(one.labels)
    assert len(fingerprint({"KEY": "aaaa"})) == 32
