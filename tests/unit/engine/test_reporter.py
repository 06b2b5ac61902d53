"""What a reporter passes on."""

from __future__ import annotations

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Progress
from slipway.engine.reporter import Reporter


def told(unit: str, total: float) -> list[float]:
    """Which of 0 to 1000, reported at once, reach a listener."""
    events: list[Event] = []
    report = Reporter("web/image", events.append, Cancel())
    for done in range(1001):
        report.progress(done, total, unit)
    return [event.done for event in events if isinstance(event, Progress)]


def test_of_bytes_that_come_at_once_the_first_some_and_the_last_are_told() -> None:
    found = told("bytes", 1000)
    assert len(found) < 100
    assert (found[0], found[-1]) == (0, 1000)
    assert len(told("bytes", 0)) < 100


def test_of_what_is_counted_all_is_told() -> None:
    assert told("pods", 1000) == list(range(1001))
