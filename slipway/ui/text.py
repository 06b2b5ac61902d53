"""The wording that the live and the plain view share: progress, a run's summary, text without control characters."""

from __future__ import annotations

import re

from slipway.engine.events import ComputedPlan, Finished, Outcome, Progress

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def strip_control(text: str) -> str:
    """A command's line of output without escape sequences and other control characters."""
    return CONTROL.sub("", text)


def strip_control_lines(text: str) -> str:
    """The same for many lines."""
    return "\n".join(strip_control(line) for line in text.splitlines())


def format_progress(progress: Progress) -> str:
    """How far a step is: `3.1 of 12.0 MB`, `3 of 7 steps`, `12 s of at most 60`."""
    done, total = progress.done, progress.total
    if progress.unit == "bytes":
        size, name = next(((s, n) for s, n in SIZES if max(done, total) >= s), (1, "B"))
        return f"{done / size:.1f} of {total / size:.1f} {name}" if total else f"{done / size:.1f} {name}"
    if progress.unit == "seconds":
        return f"{done:.0f} s of at most {total:.0f}"
    return f"{done:.0f} of {total:.0f} {progress.unit}" if total else f"{done:.0f} {progress.unit}"


def format_seconds(seconds: float) -> str:
    """A time that is read at a glance: `<1s`, `41s`, `1m29s`, `1h05m`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s" if whole else "<1s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def summary(event: Finished, plan: ComputedPlan | None = None) -> str:
    """The one line at the end of a run, or of a plan."""
    would_change = sum(bool(step.reason) for step in plan.steps) - event.failed if plan else 0
    changes = f"{would_change} would change" if would_change else f"{event.changed} changed"
    counts = f"{changes}, {event.unchanged} unchanged" + (f", {event.failed} failed" if event.failed else "")
    words = {Outcome.DONE: "done", Outcome.FAILED: "failed", Outcome.INTERRUPTED: "interrupted"}
    return f"{words[event.status]}: {counts} in {event.seconds:.1f} s"
