"""Anything in the files that a team writes, longer than a test may take: no content may give a traceback."""

from __future__ import annotations

import os
import secrets
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.benchmarks.measure import Row
from tests.unit.config.fuzz import FILES, Team, contents

MINUTES = 3  # for each row: service.yaml, whose values have the most forms, and all other files
EXAMPLES = 200  # in a round, which one seed repeats
SERVICE = "apps/web/service.yaml"


def rows() -> Iterator[Row]:
    """What is found in service.yaml, and in all other files. SLIPWAY_SEED repeats the round that a row names."""
    yield fuzzed("service.yaml", [SERVICE])
    yield fuzzed("the other files", [name for name in FILES if name != SERVICE])


def fuzzed(what: str, names: list[str]) -> Row:
    """A row of rounds for so many minutes; the first content that gives a traceback ends them."""
    given_seed = os.environ.get("SLIPWAY_SEED")
    faults: tuple[str, ...] = ()
    rounds, until = 0, time.monotonic() + 60 * MINUTES
    with TemporaryDirectory() as folder:
        team = Team(Path(folder))
        while not faults and time.monotonic() < until and not (given_seed and rounds):
            number, rounds = int(given_seed or secrets.randbelow(10**6)), rounds + 1
            try:
                fuzz(team, names, number)
            except Exception:  # noqa: BLE001  a fault is what is looked for; hypothesis adds the content to it
                faults = (f"SLIPWAY_SEED={number}", traceback.format_exc())
    return Row(f"{rounds * EXAMPLES} contents of {what}", len(faults), 0, unit="faults", notes=faults)


def fuzz(team: Team, names: list[str], number: int) -> None:
    """One round."""

    @seed(number)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def use(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(names))
        team.use(name, data.draw(contents(name)))

    use()
