"""The view for a terminal: a row per service, drawn anew where something has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar, TextIO

from rich.console import Console
from rich.control import Control
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from slipway.engine.events import ComputedPlan, Event, Finished, Outcome, Output, Plan, Progress, Status, StepChanged
from slipway.ui.board import Board
from slipway.ui.drawing import draw, draw_ended, paper
from slipway.ui.past_runs import PastRun, expected
from slipway.ui.text import strip_control, strip_control_lines, summary
from slipway.ui.view import Past, View, no_past

INTERVAL = 0.125  # seconds between two looks whether something has changed
PATIENCE = 1.0  # seconds of a run before it is asked what earlier ones took: a shorter one needs no estimate


def open_view(out: TextIO, run: str, past: Past) -> View:  # noqa: ARG001  every view gets the run's id
    """What `views.py` calls."""
    return Live(Console(file=out, highlight=False, emoji=False), past)


class Live:
    """Draws the board of a run; it stays on the screen at the end, above the summary and the failures."""

    machine_readable: ClassVar = False

    def __init__(self, console: Console, past: Past = no_past, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._past = past
        self._screen: Screen | None = None
        self._plan: ComputedPlan | None = None
        self._board = Board((), clock)

    def event(self, event: Event) -> None:
        """Take one event. A running board is drawn by a thread of its own."""
        match event:
            case ComputedPlan():
                self._planned(event)
            case Plan(steps):
                self.close()
                self._board = Board(steps, self._clock)
                self._screen = Screen(self._console, self._board, self._past)
            case Finished():
                self._finished(event)
            case Output(name, "note", text) if not self._screen:
                self._console.print(Text(f"{name} | {strip_control(text)}"))
            case StepChanged() | Output() | Progress():
                self._take(event)

    def _take(self, event: StepChanged | Output | Progress) -> None:
        if self._screen:
            with self._screen.lock:
                self._board.take(event)
                self._screen.changed = True
        else:
            self._board.take(event)

    def _planned(self, plan: ComputedPlan) -> None:
        self._plan = plan
        unchanged = paper(self._console).mark(Status.UNCHANGED)
        table = Table.grid(padding=(0, 2))
        for step in plan.steps:
            mark, style = ("~", "yellow") if step.reason else (unchanged, "dim")
            table.add_row(Text(mark, style), Text(step.id, style), Text(strip_control(step.reason)))
        self._console.print(table)

    def _finished(self, event: Finished) -> None:
        self.close()
        if event.status is Outcome.INTERRUPTED:
            for step in self._board.steps.values():
                if step.status is Status.SKIPPED:
                    self._console.print(Text(f"not done: {step.plan.title}", "yellow"))
        style = "green" if event.status is Outcome.DONE else "red"
        self._console.print(Text(summary(event, self._plan), style))
        for name, step in self._board.steps.items():
            if step.status is Status.FAILED:
                self._console.print(Text(f"\nfailed: {name}", "bold red"))
                self._console.print(Text(strip_control_lines(step.detail or step.reason)))
        for line in event.closing:
            self._console.print(Text(line))

    def close(self) -> None:
        screen, self._screen = self._screen, None
        if screen:
            screen.close()


class Screen:
    """A board on the terminal while it runs. Hold `lock` to change the board, then set `changed`."""

    def __init__(self, console: Console, board: Board, past: Past) -> None:
        self.lock = threading.Lock()
        self.changed = True
        self._console, self._board, self._past = console, board, past
        self._runs: Sequence[PastRun] | None = None
        self._drawn: tuple[object, ...] = ()
        self._width = console.width
        self._closing = threading.Event()
        self._live = RichLive(console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._refresh()
        self._thread = threading.Thread(target=self._redraw, daemon=True)
        self._thread.start()

    def _redraw(self) -> None:
        with suppress(OSError):  # a terminal that is gone: closing meets it again, in the thread that can say so
            while not self._closing.wait(INTERVAL):
                if self._runs is None and self._board.elapsed > PATIENCE:
                    self._runs = self._past()
                self._refresh()

    def _refresh(self) -> None:
        """Draw what has changed since the last time: by an event, by a second more, by the terminal's size."""
        size = self._console.size
        with self.lock:
            now = (size, int(self._board.elapsed), self._runs is None)
            if not self.changed and now == self._drawn:
                return
            self.changed, self._drawn = False, now
            usual = expected(self._runs or (), self._board.acting, self._board.unchanged)
            drawn = draw(self._board, paper(self._console), usual)
        if size.width < self._width:  # the terminal has broken the lines that it has: nobody knows where they begin
            self._console.control(Control.home(), Control.clear())
        self._width = size.width
        self._live.update(drawn, refresh=True)

    def close(self) -> None:
        """Draw the board for the last time, and leave the terminal as it was."""
        self._closing.set()
        self._thread.join()
        self._live.stop()
        self._console.print(draw_ended(self._board, paper(self._console)))
