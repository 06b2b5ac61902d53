"""The view for a terminal: a tree of the steps, drawn anew while they run."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from slipway.engine.events import ComputedPlan, Event, Finished, Outcome, Output, Plan, Progress, Status, StepChanged
from slipway.ui.text import format_progress, strip_control, strip_control_lines, summary
from slipway.ui.view import View

MARKS = {
    Status.WAITING: ("·", "dim"),
    Status.UNCHANGED: ("✓", "dim"),
    Status.CHANGED: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.SKIPPED: ("-", "yellow"),
}
RATE = 10  # drawings a second


def open_view(out: TextIO, run: str) -> View:  # noqa: ARG001  every view gets the run's id
    """What `views.py` calls."""
    return Live(out)


@dataclass
class _Row:
    """What is known of one step."""

    title: str
    group: str = ""
    status: Status = Status.WAITING
    reason: str = ""
    began: float = 0.0
    seconds: float = 0.0
    line: str = ""
    progress: str = ""
    detail: str = ""
    spinner: Spinner = field(default_factory=partial(Spinner, "dots", style="cyan"))


class Live:
    """Draws groups of steps (`auth/jar` is step `jar` of group `auth`); the finished tree stays on the screen."""

    machine_readable: ClassVar = False

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False, emoji=False)
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()
        self._live: RichLive | None = None
        self._plan: ComputedPlan | None = None

    def event(self, event: Event) -> None:
        """Draw one event. The screen is drawn from a thread of its own, which takes the lock for what it reads."""
        match event:
            case ComputedPlan():
                self._planned(event)
            case Plan(steps):
                with self._lock:
                    self._rows = {step.id: _Row(step.title, step.group) for step in steps}
                self._live = RichLive(console=self._console, get_renderable=self._draw, refresh_per_second=RATE)
                self._live.start()
            case StepChanged():
                with self._lock:
                    self._step(event)
            case Output(name, _, text) if name in self._rows:
                self._rows[name].line = strip_control(text) or self._rows[name].line
            case Progress(name) if name in self._rows:
                self._rows[name].progress = format_progress(event)
            case Finished():
                self._finished(event)

    def _planned(self, plan: ComputedPlan) -> None:
        self._plan = plan
        table = Table.grid(padding=(0, 2))
        for step in plan.steps:
            style = "yellow" if step.reason else "dim"
            table.add_row(
                Text("~" if step.reason else "✓", style), Text(step.id, style), Text(strip_control(step.reason))
            )
        self._console.print(table)

    def _step(self, event: StepChanged) -> None:
        row = self._rows.setdefault(event.id, _Row(event.title))
        if event.status in {Status.APPLYING, Status.CHECKING} and not row.began:
            row.began = time.monotonic()
        row.status, row.reason = event.status, strip_control(event.reason)
        row.seconds, row.detail = event.seconds, event.detail

    def _draw(self) -> RenderableType:
        with self._lock:
            return self._tree(max(4, self._console.height - 2))

    def _tree(self, height: int) -> RenderableType:
        lines: list[RenderableType] = []
        group = ""
        quiet = len(self._rows) > height // 2
        hidden = 0
        for name, row in self._rows.items():
            if quiet and row.status in {Status.UNCHANGED, Status.WAITING} and not row.reason:
                hidden += 1
                continue
            heading = row.group or name
            if heading != group:
                lines.append(Text(heading, "bold", no_wrap=True, overflow="ellipsis"))
                group = heading
            lines += self._lines(name.removeprefix(f"{row.group}/"), row)
        if hidden:
            lines.append(Text(f"  … and {hidden} more, waiting or unchanged", "dim", no_wrap=True, overflow="ellipsis"))
        return Group(*lines[-height:])

    def _lines(self, name: str, row: _Row) -> list[RenderableType]:
        active = row.status in {Status.CHECKING, Status.APPLYING}
        seconds = time.monotonic() - row.began if active else row.seconds
        took = f" {seconds:.1f} s" if seconds >= 0.1 else ""
        text = Text(no_wrap=True, overflow="ellipsis")
        mark, style = ("", "cyan") if active else MARKS[row.status]
        if active:
            frame = row.spinner.render(time.monotonic())
            text.append("  ").append(frame if isinstance(frame, Text) else Text("*")).append(" ")
        else:
            text.append(f"  {mark} ", style)
        text.append(row.title if len(row.title) < 50 else name, "dim" if row.status is Status.UNCHANGED else "")
        text.append(took, "dim")
        if row.progress and active:
            text.append(f" {row.progress}", "cyan")
        if row.reason:
            text.append(f"  {row.reason}", style if row.status is Status.FAILED else "dim")
        lines: list[RenderableType] = [text]
        if active and row.line:
            lines.append(Text(f"      {row.line}", "dim", no_wrap=True, overflow="ellipsis"))
        return lines

    def _finished(self, event: Finished) -> None:
        live, self._live = self._live, None
        if live:
            live.stop()
        if event.status is Outcome.INTERRUPTED:
            for row in self._rows.values():
                if row.status is Status.SKIPPED:
                    self._console.print(Text(f"not done: {row.title}", "yellow"))
        style = "green" if event.status is Outcome.DONE else "red"
        self._console.print(Text(summary(event, self._plan), style))
        for name, row in self._rows.items():
            if row.status is Status.FAILED:
                self._console.print(Text(f"\nfailed: {name}", "bold red"))
                self._console.print(Text(strip_control_lines(row.detail or row.reason)))
        for line in event.closing:
            self._console.print(Text(line))

    def close(self) -> None:
        if self._live:
            self._live.stop()
