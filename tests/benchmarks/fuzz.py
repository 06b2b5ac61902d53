"""Anything in the files that a team and its tools write, and typed, longer than a test may take: nothing may give a traceback."""

from __future__ import annotations

import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.benchmarks.measure import Row
from tests.unit.config.fuzz import FILES, Team, contents
from tests.unit.images import fuzz as images
from tests.unit.kubernetes import fuzz as kubeconfigs
from tests.unit.tasks.fuzz import WORDS, parse

MINUTES = 3  # for each row: service.yaml, whose values have the most forms, all other files, and so on
EXAMPLES = 200  # in a round, which one seed repeats
SERVICE = "apps/web/service.yaml"
Use = Callable[[st.DataObject], None]


def rows() -> Iterator[Row]:
    """What is found in service.yaml, in all other files, and typed. SLIPWAY_SEED repeats the round that a row names."""
    with TemporaryDirectory() as folder:
        team = Team(Path(folder))
        yield fuzzed("contents of service.yaml", content_of(team, [SERVICE]))
        yield fuzzed("contents of the other files", content_of(team, [name for name in FILES if name != SERVICE]))
        for name in images.VALID:
            yield fuzzed(f"contents of a {name}", image_file(Path(folder), name))
        yield fuzzed("kubeconfigs", lambda data: kubeconfigs.use(Path(folder), data.draw(kubeconfigs.CONTENTS)))
    yield fuzzed("command lines", lambda data: parse(data.draw(WORDS)))


def image_file(folder: Path, name: str) -> Use:
    """Use any content of what an image is made from."""

    def use(data: st.DataObject) -> None:
        images.use(folder, name, data.draw(images.contents(name)))

    return use


def content_of(team: Team, names: list[str]) -> Use:
    """Use any content of one of these files."""

    def use(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(names))
        team.use(name, data.draw(contents(name)))

    return use


def fuzzed(what: str, use: Use) -> Row:
    """A row of rounds for so many minutes; the first input that gives a traceback ends them."""
    given_seed = os.environ.get("SLIPWAY_SEED")
    faults: tuple[str, ...] = ()
    rounds, until = 0, time.monotonic() + 60 * MINUTES
    while not faults and time.monotonic() < until and not (given_seed and rounds):
        number, rounds = int(given_seed or secrets.randbelow(10**6)), rounds + 1
        try:
            fuzz(use, number)
        except Exception:  # noqa: BLE001  a fault is what is looked for; hypothesis adds the input to it
            faults = (f"SLIPWAY_SEED={number}\n{traceback.format_exc()}",)
    return Row(f"{rounds * EXAMPLES} {what}", len(faults), 0, unit="faults", notes=faults)


def fuzz(use: Use, number: int) -> None:
    """One round."""
    checked = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    seed(number)(checked(given(st.data())(use)))()
