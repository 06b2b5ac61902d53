"""Draws recorded runs as the live view does, by Rich's own SVG export, at the moments that docs/ shows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from slipway.engine.events import Event, Output, Plan, Progress, StepChanged
from slipway.ui import drawing
from slipway.ui.board import Board
from slipway.ui.live import Live
from tests.integration.project import ROOT
from tests.pictures.recorder import read

RECORDINGS = Path(__file__).parent
PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 80, 24
DETAIL = 14  # lines of a failure


@dataclass(frozen=True)
class Moment:
    """A picture: of which recording, and after which part of its time; None: its end, with all that stays."""

    name: str
    recording: str
    part: float | None = None


MOMENTS = (
    Moment("deploy-begun", "deploy", 0.1),
    Moment("deploy-running", "deploy", 0.85),
    Moment("deploy-done", "deploy"),
    Moment("deploy-failed", "failed"),
)


class Replay:
    """A recorded run, up to a moment; its clock is the recording's."""

    def __init__(self, recording: str) -> None:
        self.events = list(read(RECORDINGS / f"{recording}.jsonl"))
        self.began = next(seconds for seconds, event in self.events if isinstance(event, Plan))
        self.took = self.events[-1][0] - self.began
        self.now = self.began

    def clock(self) -> float:
        """The second of the recording."""
        return self.now

    def board(self, seconds: float) -> Board:
        """The board so many seconds after the plan."""
        board = Board((), self.clock)
        for then, event in self.events:
            if then > self.began + seconds:
                break
            self.now = then
            match event:
                case Plan(steps):
                    board = Board(steps, self.clock)
                case StepChanged() | Output() | Progress():
                    board.take(event)
        self.now = self.began + seconds
        return board


def _shortened(event: Event) -> Event:
    """A failure as its first lines: in full it has the logs of all containers."""
    lines = event.detail.splitlines() if isinstance(event, StepChanged) else []
    if not isinstance(event, StepChanged) or len(lines) <= DETAIL:
        return event
    return replace(event, detail="\n".join([*lines[:DETAIL], "…"]))


def draw(folder: Path = PICTURES) -> Iterator[Path]:
    """Write all pictures into a folder."""
    folder.mkdir(exist_ok=True)
    for moment in MOMENTS:
        console = Console(file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT, color_system="truecolor")
        replay = Replay(moment.recording)
        if moment.part is None:
            view = Live(console, clock=replay.clock)
            for then, event in replay.events:
                replay.now = then
                view.event(_shortened(event))
        else:
            board = replay.board(moment.part * replay.took)
            console.print(drawing.draw(board, drawing.paper(console), replay.took))
        file = folder / f"{moment.name}.svg"
        console.save_svg(str(file), title="./invoke deploy", unique_id=moment.name)
        yield file
