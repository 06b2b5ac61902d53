"""What a Docker daemon keeps for Slipway, on one in memory: releases in the labels of volumes, secrets in a file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.container import container_spec, settings_digest
from slipway.deployers.docker.release_store import last_number, record, release_of, releases
from slipway.deployers.docker.secret_store import DockerSecretStore
from slipway.deployers.releases import pick
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import RELEASE, SETTINGS, Names
from slipway.docker.state import State
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem

NAMES = Names("hh", "hh")
SERVICE = Service.model_validate({"name": "auth", "env": {"A": "b"}})


def desired(image: str) -> DesiredRelease[str]:
    secrets = {"KEY": "geheim"}
    return DesiredRelease(SERVICE, "src", secrets, settings_digest(SERVICE, secrets), "ann", image, "abc")


def daemon(count: int = 0) -> FakeDaemon:
    made = FakeDaemon()
    image = made.images.import_rootfs(b"root", "hh/auth:1", [])
    wanted = desired(image)
    for number in range(1, count + 1):
        record(made, NAMES, wanted, container_spec(NAMES, wanted, number), {"it answers": True})
    return made


def test_generated_secrets_are_read_back_and_reading_creates_none() -> None:
    made = daemon()
    store = DockerSecretStore(made, NAMES)
    assert store.read(partial(made.state, "hh")) == {}
    assert made.store.volumes == {}
    store.store({"auth.KEY": "geheim"}, null_reporter())
    assert DockerSecretStore(made, NAMES).read(partial(made.state, "hh")) == {"auth.KEY": "geheim"}


def test_secrets_are_read_by_one_container_that_stays() -> None:
    made = daemon()
    DockerSecretStore(made, NAMES).store({"auth.KEY": "geheim"}, null_reporter())
    (kept,) = made.state("hh").containers
    for _ in range(2):
        assert DockerSecretStore(made, NAMES).read(partial(made.state, "hh")) == {"auth.KEY": "geheim"}
    assert made.state("hh").containers == (kept,)
    assert (kept.name, kept.state, kept.mounts) == ("hh_secrets", "created", {"/secrets": "hh_secrets"})


def test_where_that_container_is_gone_secrets_are_read_by_another() -> None:
    made = daemon()
    store = DockerSecretStore(made, NAMES)
    store.store({"auth.KEY": "geheim"}, null_reporter())
    made.containers.remove("hh_secrets")
    assert store.read(partial(made.state, "hh")) == {"auth.KEY": "geheim"}
    assert [one.name for one in made.state("hh").containers] == ["hh_secrets"]


def test_of_two_runs_that_create_that_container_at_once_both_read_by_it() -> None:
    made = daemon()
    store = DockerSecretStore(made, NAMES)
    store.store({"auth.KEY": "geheim"}, null_reporter())
    made.containers.remove("hh_secrets")

    def another_run(operation: str) -> None:
        if operation.startswith("containers.create"):
            made.store.hooks.remove(another_run)
            DockerSecretStore(made, NAMES).read(partial(made.state, "hh"))

    made.store.hooks.append(another_run)
    assert store.read(partial(made.state, "hh")) == {"auth.KEY": "geheim"}
    assert len(made.state("hh").containers) == 1


def test_the_state_is_not_waited_for_where_that_container_is_there() -> None:
    made = daemon()
    DockerSecretStore(made, NAMES).store({"auth.KEY": "geheim"}, null_reporter())

    def state() -> State:
        raise AssertionError("it is asked")

    assert DockerSecretStore(made, NAMES).read(state) == {"auth.KEY": "geheim"}


def test_another_projects_secrets_are_not_read_though_its_names_are_the_same() -> None:
    made = daemon()
    other = DockerSecretStore(made, Names("other", "hh"))
    other.store({"auth.KEY": "geheim"}, null_reporter())
    store = DockerSecretStore(made, NAMES)
    assert store.read(partial(made.state, "hh")) == {}
    with pytest.raises(Problem):
        store.store({"auth.KEY": "another"}, null_reporter())
    assert other.read(partial(made.state, "other")) == {"auth.KEY": "geheim"}


def test_releases_come_newest_first_and_hold_no_secret() -> None:
    made = daemon(3)
    found = releases(made.state("hh"), "auth")
    assert [release.number for release in found] == [3, 2, 1]
    assert found[0].settings == SERVICE
    assert "geheim" not in repr(made.volumes)


class UnreadSettings(dict[str, str]):
    """Labels whose settings must not be read: to validate those of every record takes longer with each release."""

    def __getitem__(self, name: str) -> str:
        assert name != SETTINGS, f"release {self[RELEASE]} was read"
        return super().__getitem__(name)


def test_no_record_is_read_but_the_running_releases() -> None:
    made = daemon(9)
    made.containers.create(container_spec(NAMES, desired(next(iter(made.store.images))), 8))
    state = made.state("hh")
    others = (one for one in state.volumes if one.labels.get(RELEASE) != "8")
    unread = {one.name: replace(one, labels=UnreadSettings(one.labels)) for one in others}
    assert len(unread) == 8
    state = replace(state, volumes=tuple(unread.get(one.name, one) for one in state.volumes))
    release = release_of(state, state.container("hh_auth_01"))
    assert release
    assert release.number == 8


def test_a_container_is_the_release_whose_number_and_manifest_it_carries() -> None:
    made = daemon(2)
    image = next(iter(made.store.images))
    want = container_spec(NAMES, desired(image), 2)
    made.containers.create(want)
    state = made.state("hh")
    release = release_of(state, state.container("hh_auth_01"))
    assert release is not None
    assert release.number == 2
    assert release_of(state, None) is None


def test_a_release_is_picked_by_number_or_as_the_one_before() -> None:
    found = releases(daemon(3).state("hh"), "auth")
    assert pick("auth", found, found[0], None).number == 2
    assert pick("auth", found, found[0], 1).number == 1
    for absent in (9, 0):
        with pytest.raises(Problem, match=f"no release {absent}"):
            pick("auth", found, found[0], absent)
    with pytest.raises(Problem, match="no earlier release"):
        pick("auth", found, found[-1], None)


def test_a_record_of_another_version_is_no_release() -> None:
    made = daemon(1)
    other = {"slipway.project": "hh", "slipway.role": "release", "slipway.service": "auth", "slipway.release": "2"}
    made.volumes.create("hh_auth_release_0002", other)
    assert [release.number for release in releases(made.state("hh"))] == [1]
    assert last_number(made.state("hh"), "auth") == 2  # its number is taken all the same
