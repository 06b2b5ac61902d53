"""Which containers of a smoke test another one may use."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from slipway.config.models import Resources, Service, Smoke, Storage
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.warm_set import Need, content_digest, fitting, usable

DATA = Smoke(snapshot=("save",), restore=("bring", "back"))
ALL = {"auth", "db", "consumer", "order"}


def needs(**memory: str) -> dict[str, Need]:
    """What a test needs: a database, two that use it, and one that does not."""
    direct = {"auth": (), "db": (), "consumer": ("auth", "db"), "order": ("auth", "db", "consumer")}
    smoke = {"db": DATA}
    return {
        name: Need(
            Service(
                name=name,
                smoke=smoke.get(name, Smoke(reuse=True)),
                resources=Resources(memory=memory.get(name, "256Mi")),
            ),
            frozenset(own),
            name,
        )
        for name, own in direct.items()
    }


@pytest.mark.parametrize(
    ("candidates", "members", "found"),
    [
        (ALL, ALL, ALL),
        (ALL, {*ALL, "mail"}, {"auth"}),  # of mail it is not known whether it uses the database
        (ALL - {"order"}, ALL, {"auth"}),  # what the order wrote at its start is in the database
        (ALL - {"db"}, ALL, {"auth"}),  # the others have connections to it
        (ALL - {"auth"}, ALL, set()),
        ({"auth", "db"}, {"auth", "db"}, {"auth", "db"}),
        ({"auth", "db"}, ALL, {"auth"}),
        (set(), ALL, set()),
    ],
)
def test_what_has_data_is_used_only_with_all_who_may_have_written_to_it(
    candidates: set[str], members: set[str], found: set[str]
) -> None:
    assert usable(needs(), candidates, members) == found


@pytest.mark.parametrize(
    ("memory", "found"), [(1024, ALL), (1023, ALL - {"order"}), (512, {"auth", "db"}), (255, set()), (0, set())]
)
def test_no_more_is_kept_than_fits_into_the_memory(memory: int, found: set[str]) -> None:
    assert fitting(needs(), memory * 2**20) == found


def test_the_limit_counts_and_not_the_request() -> None:
    assert fitting(needs(auth="2Gi"), 1024 * 2**20) == ALL - {"auth"}


@pytest.mark.parametrize(
    ("smoke", "storage", "reusable"),
    [
        (Smoke(), False, False),
        (Smoke(reuse=True), False, True),
        (Smoke(reuse=True), True, False),
        (DATA, True, True),
        (DATA, False, True),
    ],
)
def test_only_what_says_so_is_used_again_and_what_has_storage_says_how(
    smoke: Smoke, storage: bool, reusable: bool
) -> None:
    service = Service(name="db", smoke=smoke, storage={"data": Storage(path="/data")} if storage else {})
    assert service.reusable == reusable


@pytest.mark.parametrize(
    ("change", "secrets", "image", "others"),
    [
        ({"env": {"A": "2"}}, {"KEY": "k"}, "sha256:1", ["x"]),
        ({"port": 1}, {"KEY": "k"}, "sha256:1", ["x"]),
        ({"resources": Resources(memory="1Gi")}, {"KEY": "k"}, "sha256:1", ["x"]),
        ({"smoke": DATA}, {"KEY": "k"}, "sha256:1", ["x"]),
        ({}, {"KEY": "other"}, "sha256:1", ["x"]),
        ({}, {"KEY": "k"}, "sha256:2", ["x"]),
        ({}, {"KEY": "k"}, "sha256:1", ["y"]),
    ],
)
def test_whatever_a_container_is_made_from_changes_its_digest(
    change: Mapping[str, object], secrets: Mapping[str, str], image: str, others: list[str]
) -> None:
    service = Service(name="db", env={"A": "1"})

    def digest(service: Service, secrets: Mapping[str, str], image: str, others: list[str]) -> str:
        return content_digest(DesiredRelease(service, "0", secrets, None, "someone", image), others)

    before = digest(service, {"KEY": "k"}, "sha256:1", ["x"])
    assert before == digest(service, {"KEY": "k"}, "sha256:1", ["x"])
    assert before != digest(service.model_copy(update=dict(change)), secrets, image, others)
