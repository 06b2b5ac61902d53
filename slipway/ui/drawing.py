"""How a board looks on a terminal of some width and height: a row per service, a bar, the newest lines of output."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from slipway.engine.events import Status
from slipway.ui.board import Board, Group, StepState
from slipway.ui.text import format_progress, format_seconds

STYLES = {
    Status.WAITING: "dim",
    Status.CHECKING: "cyan",
    Status.APPLYING: "cyan",
    Status.UNCHANGED: "dim",
    Status.CHANGED: "green",
    Status.FAILED: "bold red",
    Status.SKIPPED: "yellow",
}
MARKS = dict(zip(STYLES, "·▸▸=✓✗-", strict=True))
ASCII_MARKS = dict(zip(STYLES, ".>>=+x-", strict=True))
BREAKS = re.compile(r"[\n\t]+")
TIMES, SHORT, LETTER = 7, 5, 1  # cells of a stage: its mark and its time, or its mark below a shortened name
NOTE = len("waits for another Leiningen")  # cells that a row's note gets before its stages do
NAME = 3  # a name gets at most one of so many parts of the width
AT_ONCE = 1.0  # seconds within which all begins that is not held back: only so many hosts are prepared at once
ACTIVITY = 4  # lines of output at most; on a short terminal a quarter of it


@dataclass(frozen=True)
class Paper:
    """What is drawn on: its cells, and whether it has but ASCII's characters."""

    width: int
    height: int
    ascii: bool = False

    def mark(self, status: Status) -> str:
        """A status as one character, since not every terminal has colours."""
        return (ASCII_MARKS if self.ascii else MARKS)[status]

    def line(self, *parts: tuple[str, str]) -> Text:
        """Pieces of text with their styles as one line, which is cut at the edge."""
        parts = tuple((BREAKS.sub(" ", text), style) for text, style in parts)
        if self.ascii:
            parts = tuple((text.encode("ascii", "replace").decode(), style) for text, style in parts)
        return Text.assemble(*parts, no_wrap=True, overflow="crop" if self.ascii else "ellipsis", end="\n")


def paper(console: Console) -> Paper:
    """What a console draws on, as large as it is now."""
    return Paper(console.width, console.height, console.options.ascii_only)


def draw(board: Board, paper: Paper, expected: float | None = None) -> RenderableType:
    """The board while it runs. `expected`: the seconds that this run may take in all, if that is known."""
    room = max(1, paper.height - 2)  # for rows and activity: the bar has a line, and so has the cursor at the end
    lines = min(ACTIVITY, room // 4)
    activity = [paper.line((f"{name} | {text}", "dim")) for name, text in board.lines]
    return Lines(*_Rows(board, paper).lines(room - lines), _bar(board, paper, expected), *activity[::-1][:lines][::-1])


def draw_ended(board: Board, paper: Paper) -> RenderableType:
    """The board as it stays on the screen."""
    return Lines(*_Rows(board, paper).lines(max(1, paper.height - 2)))


def _bar(board: Board, paper: Paper, expected: float | None) -> RenderableType:
    """How many steps have ended, and the time so far, beside what the last runs took."""
    ended, total = sum(step.status.ended for step in board.steps.values()), len(board.steps)
    seconds = board.elapsed
    time = format_seconds(seconds)
    if expected is not None:
        usual = format_seconds(expected)
        time += f" of about {usual}" if seconds <= expected else f", usually {usual}"
    text = paper.line((f"{ended} of {total} steps  ", ""), (time, "bold"))
    if (width := paper.width - text.cell_len - 2) < TIMES:
        return text
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(ProgressBar(max(1, total), ended, width=width, complete_style="cyan", finished_style="cyan"), text)
    return grid


class _Rows:
    """The lines of a board's groups, in cells that fit on the paper."""

    def __init__(self, board: Board, paper: Paper) -> None:
        self._board, self._paper = board, paper
        self._arrange(board.rows, board.singles)
        if len(board.rows) == 1 and not self._times:  # this machine's tools, say: a row each is easier to read
            steps = [Group(step.name, [step]) for step in board.rows[0].steps]
            self._arrange([], [*steps, *board.singles])

    def _arrange(self, rows: Sequence[Group], singles: Sequence[Group]) -> None:
        """Give cells to groups in columns, or where there are none, to steps in a row each."""
        own = [group for group in singles if not rows or not _is_quiet(group)]
        self._rows, self._groups = rows, [*rows, *own]
        self._quiet = [group for group in singles if group not in own]
        self._row_of = {step.plan.id: group.name for group in (*rows, *singles) for step in group.steps}
        longest = max((cell_len(group.name) for group in self._groups), default=0)
        self._name = min(longest, self._paper.width // NAME)
        labels = _labels(self._board.columns if rows else [])
        for size in (TIMES, SHORT, LETTER):
            self._times = size == TIMES
            cells = {name: max(size, len(label)) if self._times else min(size, len(label)) for name, label in labels}
            self._stages = cells
            self._header = "".join(f" {set_cell_size(label, cells[name])}" for name, label in labels)
            if cell_len(self._header) + self._name + 1 + NOTE <= self._paper.width:
                break

    def lines(self, room: int) -> Iterator[Text]:
        """All of them, or the most important ones and a sum of the others."""
        header = [self._paper.line((" " * self._name + self._header, "dim"))] if self._rows and room > 1 else []
        quiet = self._quiet_lines()
        yield from header
        room -= len(header)
        if len(self._groups) + len(quiet) <= room:
            yield from map(self._line, self._groups)
            yield from quiet
            return
        first = sorted(self._groups, key=_importance)[: max(0, room - 1)]
        yield from (self._line(group) for group in self._groups if group in first)
        yield self._sum([group for group in (*self._groups, *self._quiet) if group not in first], also=bool(first))

    def _line(self, group: Group) -> Text:
        style = "dim" if group.status is Status.UNCHANGED else "bold" if group.active else ""
        parts = [(set_cell_size(group.name, self._name), style)]
        if group in self._rows:
            steps = {step.name: step for step in group.steps}
            for name, width in self._stages.items():
                text, style = self._cell(steps[name]) if name in steps else ("", "")
                parts.append((f" {set_cell_size(text, width)}", style))
        else:
            text, style = self._cell(group.steps[0], times=True)
            parts.append((f" {set_cell_size(text, TIMES)}", style))
        note, style = self._note(group)
        return self._paper.line(*parts, (f" {note}", style))

    def _cell(self, step: StepState, *, times: bool = False) -> tuple[str, str]:
        status = Status.WAITING if step.waits else step.status
        timed = step.active or step.waits or step.status in {Status.CHANGED, Status.FAILED}
        took = format_seconds(self._board.seconds(step)) if timed and (times or self._times) else ""
        return f"{self._paper.mark(status)} {took}".rstrip(), STYLES[status]

    def _note(self, group: Group) -> tuple[str, str]:
        """What is to say of a row: why it failed, whom it waits for, how far it is, that nothing was to do."""
        if step := group.failed:
            return _cause(group, step.reason), STYLES[Status.FAILED]
        if (only := group.steps[0]) and len(self._board.steps) == 1 and not only.progress:
            return only.plan.title, STYLES[only.status]  # an action: what it is, also when it is done
        if step := group.active:
            text = format_progress(step.progress) if step.progress else _cause(group, step.reason)
            shown = step.name in self._stages or group not in self._rows
            return text if shown else f"checks {step.name}", STYLES[step.status]
        if step := group.waiting:
            return f"waits for {step.waits}", STYLES[Status.WAITING]
        if step := group.skipped:
            return f"skipped: {step.reason}", STYLES[Status.SKIPPED]
        if group.status is Status.UNCHANGED:
            return "unchanged", STYLES[Status.UNCHANGED]
        waits = list(dict.fromkeys(self._row_of[name] for name in self._board.blockers(group)))
        if not waits and group.untouched and self._board.elapsed > AT_ONCE:
            waits = ["its turn"]
        return f"waits for {', '.join(waits)}" if waits else "", STYLES[Status.WAITING]

    def _quiet_lines(self) -> list[Text]:
        """The steps without a service that have nothing to say, beside each other."""
        lines: list[list[tuple[str, str]]] = []
        room, heading = 0, ""
        for step in (group.steps[0] for group in self._quiet):
            if step.plan.precondition:
                continue
            text, style = self._cell(step, times=True)
            words = f"{step.plan.group}: " if step.plan.group not in {"", heading} else ""
            words += f"{step.name} {text}   "
            heading = step.plan.group
            if cell_len(words.rstrip()) > room:
                lines.append([])
                room = self._paper.width
            lines[-1].append((words, style))
            room -= cell_len(words)
        return [self._paper.line(*parts) for parts in lines]

    def _sum(self, groups: Iterable[Group], *, also: bool) -> Text:
        """Groups that are not shown, as numbers: `and 21 more: 8 changed, 12 unchanged, 1 waiting`."""
        counts = Counter("running" if group.active else str(group.status.value) for group in groups)
        numbers = ", ".join(f"{count} {name}" for name, count in counts.items())
        return self._paper.line((f"and {counts.total()} more: {numbers}" if also else numbers, "dim"))


def _labels(columns: Sequence[str]) -> list[tuple[str, str]]:
    """Stages with what stands above them: of `docker/engine` the last part, where no other has that."""
    ends = Counter(name.rpartition("/")[2] for name in columns)
    return [(name, end if ends[end := name.rpartition("/")[2]] == 1 else name) for name in columns]


def _is_quiet(group: Group) -> bool:
    """Whether a step without a service needs no row: it has ended well, or its turn has not come."""
    return group.status in {Status.UNCHANGED, Status.CHANGED, Status.WAITING} and not group.waiting


def _importance(group: Group) -> int:
    """The rank of a row where not all fit: the smaller, the more there is to see."""
    ranks = (
        group.failed,
        group.active or group.waiting,
        any(step.status.ended for step in group.steps) and not group.ended,
        group.skipped,
        group.status is Status.CHANGED,
        not group.ended,
    )
    return next((rank for rank, holds in enumerate(ranks) if holds), len(ranks))


def _cause(group: Group, reason: str) -> str:
    """A reason in a row that has the name of its service already."""
    return reason.partition("\n")[0].removeprefix(f"{group.name}: ")
