"""What a line of the benchmarks' table says, and when it fails."""

from __future__ import annotations

import pytest

from tests.benchmarks.measure import NO_BAR, Row


@pytest.mark.parametrize(
    ("row", "ok", "line"),
    [
        (Row("a", 8.0, 8.0), True, "ok    a 8.000 s ≤ 8.00 s"),
        (Row("a", 8.1, 8.0, aim=5.0), False, "MISS  a 8.100 s ≤ 8.00 s aim: 5.00 s, not met"),
        (Row("a", 4.0, 8.0, aim=5.0), True, "ok    a 4.000 s ≤ 8.00 s aim: 5.00 s, met"),
        (Row("a", 6.0, 0.75, "Skaffold", 8.0, aim=0.5), True,
         "ok    a 6.000 s ≤ 0.75 x Skaffold (8.000 s) aim: 0.50 x Skaffold, not met"),
        (Row("a", 6.1, 0.75, "Skaffold", 8.0, aim=0.5), False,
         "MISS  a 6.100 s ≤ 0.75 x Skaffold (8.000 s) aim: 0.50 x Skaffold, not met"),
        (Row("  its floor: b", 100.0, NO_BAR), True, "its floor: b 100.000 s"),
        (Row("a", 1, 0, unit="faults", notes=("why",)), False, "MISS  a 1.000 faults ≤ 0.00 faults why"),
    ],
)  # fmt: skip
def test_a_row_fails_when_its_bar_is_missed_and_tells_of_its_aim(row: Row, ok: bool, line: str) -> None:
    assert row.ok is ok
    assert " ".join(row.text.split()) == " ".join(line.split())
