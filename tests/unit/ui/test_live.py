"""The live view: what stands on a terminal at each moment of a run, how large it is, and how often it is drawn."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pexpect
import pyte
import pytest
from rich.console import Console

from slipway.engine.events import (
    ComputedPlan,
    Event,
    Finished,
    Outcome,
    Output,
    Plan,
    PlanStep,
    Progress,
    Status,
    StepChanged,
    fields,
)
from slipway.ui import drawing
from slipway.ui.board import Board
from slipway.ui.live import Live
from slipway.ui.past_runs import PastRun
from tests.pictures.recorder import read

RECORDED = Path(__file__).parents[2] / "pictures"
SERVICES = ("auth", "postgres", "alert", "consumer", "provider", "service", "order")
STAGES = ("jar", "image", "smoke", "release")


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def plan(*names: str, needs: dict[str, str] | None = None) -> Plan:
    """A deploy of services, each behind a step of none; `needs` says whose release one waits for."""
    steps = [PlanStep("secrets", "generated secrets")]
    for name in names:
        after: tuple[str, ...] = ("secrets",)
        for stage in STAGES:
            need = (f"{needs[name]}/release",) if needs and name in needs and stage == "release" else ()
            steps.append(PlanStep(f"{name}/{stage}", f"{name}: {stage}", group=name, after=(*after, *need)))
            after = (f"{name}/{stage}",)
    return Plan(tuple(steps))


def changed(name: str, status: Status, reason: str = "", seconds: float = 0.0) -> StepChanged:
    return StepChanged(name, name.replace("/", ": "), status, reason, seconds)


def ended(*names: str, status: Status = Status.CHANGED, seconds: float = 2.0) -> list[StepChanged]:
    return [changed(name, status, "", seconds) for name in names]


def shown(
    events: Iterable[Event], *, width: int = 80, height: int = 24, encoding: str = "utf-8", seconds: float = 0.0,
    expected: float | None = None,
) -> list[str]:  # fmt: skip
    """The lines on a terminal of that size, so many seconds after the events."""
    clock, board = Clock(), Board((), Clock())
    for event in events:
        if isinstance(event, Plan):
            board = Board(event.steps, clock)
        elif isinstance(event, StepChanged | Output | Progress):
            board.take(event)
    clock.now = seconds
    return drawn(board, width, height, encoding, expected)


def drawn(board: Board, width: int, height: int, encoding: str = "utf-8", expected: float | None = None) -> list[str]:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding), width=width, height=height)
    console.print(drawing.draw(board, drawing.paper(console), expected))
    console.file.flush()
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def row(lines: Sequence[str], name: str) -> str:
    """The one line of a service."""
    (found,) = [line for line in lines if line.split()[:1] == [name] and "|" not in line]
    return found


@pytest.mark.parametrize(("name", "moments"), [("deploy", 60), ("failed", 20)])
def test_a_real_deploy_of_seven_services_fits_at_each_moment_with_a_row_for_each(name: str, moments: int) -> None:
    events = list(read(RECORDED / f"{name}.jsonl"))
    begin, end = events[0][0], events[-1][0]
    clock = Clock()
    for moment in (begin + (end - begin) * number / moments for number in range(moments + 1)):
        board = Board((), clock)
        for clock.now, event in events:
            if clock.now > moment:
                break
            if isinstance(event, Plan):
                board = Board(event.steps, clock)
            elif isinstance(event, StepChanged | Output | Progress):
                board.take(event)
        lines = drawn(board, 80, 24, expected=500.0)
        assert len(lines) <= 23, lines
        assert max(map(len, lines)) <= 80
        assert lines[0].split() == list(STAGES)
        for service in SERVICES:
            states = [step.status for step in board.rows[SERVICES.index(service)].steps if not step.plan.precondition]
            marks = re.findall(r"(?<!\S)[·▸=✓✗-](?!\S)", row(lines, service))
            assert len(marks) == len(states)
            assert [mark in "✓=" for mark in marks] == [s in {Status.CHANGED, Status.UNCHANGED} for s in states]
        talking = [line.partition(" | ")[0] for line in lines if " | " in line]
        assert not [name for name in talking if board.steps[name].status.ended]
        assert not [line for line in lines if "JAVA_OPTIONS" in line or re.search(r"\| .*[Ww]aiting for", line)]
        assert sum("of 37 steps" in line for line in lines) == 1


def test_stages_are_columns_and_a_step_without_a_service_has_a_line_only_while_it_has_something_to_say() -> None:
    events: list[Event] = [plan("auth", "order"), changed("secrets", Status.APPLYING, "AUTH_KEY must be generated")]
    lines = shown(events, seconds=3)
    assert lines[0].split() == list(STAGES)
    assert row(lines, "secrets") == "secrets ▸ 3s    AUTH_KEY must be generated"
    lines = shown([*events, *ended("secrets"), *ended("auth/jar", seconds=61), changed("auth/image", Status.APPLYING)])
    assert "secrets ✓ 2s" in lines
    assert row(lines, "auth").split() == ["auth", "✓", "1m01s", "▸", "<1s", "·", "·"]


def test_thirty_services_are_summed_up_and_what_fails_or_runs_is_shown() -> None:
    names = [f"service{number:02}" for number in range(30)]
    every = [f"{name}/{stage}" for name in names[:12] for stage in STAGES]
    events: list[Event] = [
        plan(*names),
        *ended("secrets"),
        *ended(*every[:20]),
        *ended(*every[20:], status=Status.UNCHANGED),
    ]
    events += [
        changed("service27/jar", Status.APPLYING),
        changed("service28/jar", Status.FAILED, "it does not compile"),
    ]
    events += [Output("service27/jar", "stdout", f"line {number}") for number in range(40)]
    for height in (24, 10):
        lines = shown(events, height=height)
        assert len(lines) < height
        assert "it does not compile" in row(lines, "service28")
        assert "▸" in row(lines, "service27")
        shown_rows = [line for line in lines if line.startswith("service") and "|" not in line]
        (total,) = [line for line in lines if line.startswith("and ")]
        assert int(total.split()[1]) == 31 - len(shown_rows)
        counts = [int(number) for number in re.findall(r"(\d+) [a-z]", total.partition(":")[2])]
        assert sum(counts) == 31 - len(shown_rows)
        assert lines[-1] == "service27/jar | line 39"
    assert len(shown(events, height=60)) == 1 + 30 + 1 + 1 + 1  # a header, all rows, secrets, the bar, a line


def test_a_row_says_what_it_waits_for() -> None:
    events: list[Event] = [plan("auth", "order", needs={"order": "auth"}), *ended("secrets")]
    events += ended("order/jar", "order/image", "order/smoke")
    events += [changed("auth/jar", Status.WAITING, "waits for another Leiningen", 0.5)]
    lines = shown(events)
    assert row(lines, "order").endswith("waits for auth")
    assert row(lines, "auth").endswith("waits for another Leiningen")
    assert "waits for secrets" in row(shown([plan("auth"), changed("secrets", Status.APPLYING)]), "auth")
    events += [changed("auth/jar", Status.APPLYING, "no jar"), Output("auth/jar", "stdout", "before")]
    waiting = Output("auth/jar", "note", "waiting for the Leiningen of order")
    lines = shown([*events, waiting])
    assert row(lines, "auth").endswith("waits for the Leiningen of order")
    assert "▸" not in row(lines, "auth")
    assert not [line for line in lines if "|" in line]
    lines = shown([*events, waiting, Output("auth/jar", "stdout", "Compiling auth.core")])
    assert "▸" in row(lines, "auth")
    assert "waits" not in row(lines, "auth")
    assert lines[-1] == "auth/jar | Compiling auth.core"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_how_a_row_stands_is_told_without_colours(encoding: str) -> None:
    done = [f"a/{stage}" for stage in STAGES]
    same = [f"b/{stage}" for stage in STAGES]
    events: list[Event] = [plan("a", "b", "c", "d", "e"), *ended("secrets"), *ended(*done)]
    events += ended(*same, status=Status.UNCHANGED)
    events += [changed("c/jar", Status.FAILED, "c: jar: it does not compile"), changed("c/image", Status.SKIPPED)]
    events += [changed("d/jar", Status.SKIPPED, "c: jar failed"), changed("e/jar", Status.APPLYING, "no jar")]
    lines = shown(events, encoding=encoding)
    tails = {name: row(lines, name).split()[1:] for name in "abcde"}
    assert len({tuple(word for word in tail if not word.endswith("s")) for tail in tails.values()}) == 5
    assert tails["b"][-1] == "unchanged"
    assert " ".join(tails["c"]).endswith("jar: it does not compile")
    assert " ".join(tails["d"]).endswith("skipped: c: jar failed")
    if encoding == "ascii":
        assert "?" not in "".join(lines)


def test_a_line_that_a_terminal_without_unicode_cannot_show_is_still_a_line() -> None:
    lines = shown([plan("a"), Output("a/jar", "stdout", "größer → 3" + "x" * 100)], encoding="ascii")
    assert lines[-1].startswith("a/jar | gr??er ? 3xxx")
    assert len(lines[-1]) == 80


@pytest.mark.parametrize(("width", "height"), [(60, 24), (40, 24), (40, 10), (20, 6), (8, 3), (1, 1)])
def test_on_a_small_terminal_the_stages_give_way_and_no_line_is_wider_or_lower(width: int, height: int) -> None:
    events: list[Event] = [plan(*SERVICES, needs={"order": "auth"}), *ended("secrets", "order/jar", "order/image")]
    events += [*ended("order/smoke"), changed("auth/jar", Status.WAITING, "waits for another Leiningen", 1.0)]
    lines = shown(events, width=width, height=height, expected=300.0)
    assert max(map(len, lines)) <= width
    assert len(lines) <= max(2, height - 1)
    if width >= 40:
        assert row(lines, "order").endswith("waits for auth")
    if width >= 60:
        assert row(lines, "auth").endswith("waits for another Leiningen")


def test_an_action_says_what_it_is_while_it_runs_and_when_it_is_done() -> None:
    title = "auth: roll back to release 3"
    only = Plan((PlanStep("rollback", title),))
    running = StepChanged("rollback", title, Status.APPLYING, "asked for", 0.0)
    done = StepChanged("rollback", title, Status.CHANGED, "asked for", 2.0)
    assert row(shown([only, running]), "rollback").endswith(f"  {title}")
    assert row(shown([only, running, done]), "rollback").endswith(f"  {title}")


def test_a_text_of_several_lines_has_one() -> None:
    events: list[Event] = [plan("a"), Output("secrets", "note", "waiting for room:\n\tnone is left")]
    lines = shown([*events, Output("a/jar", "stdout", "one\ttwo\nthree")])
    assert row(lines, "a").endswith("waits for secrets")
    assert row(lines, "secrets").endswith("waits for room: none is left")
    assert lines[-1] == "a/jar | one two three"
    assert len(lines) == len(shown(events)) + 1


def test_what_a_host_says_during_a_run_is_shown_for_a_minute() -> None:
    events: list[Event] = [plan("a"), Output("box1", "note", "Confirm user presence for key")]
    assert shown(events, seconds=30)[-1] == "box1 | Confirm user presence for key"
    assert "box1" not in "".join(shown(events, seconds=61))


def test_hosts_are_rows_with_their_tools_as_columns() -> None:
    tools = ("docker/engine", "docker/group", "kubectl", "minikube")
    steps = []
    for host in ("box1", "box2"):
        steps.append(PlanStep(f"{host}/host", f"{host}: host", group=host, precondition=True))
        steps += [PlanStep(f"{host}/{tool}", tool, group=host, after=(f"{host}/host",)) for tool in tools]
    events: list[Event] = [Plan(tuple(steps)), changed("box1/host", Status.CHECKING)]
    events += [
        *ended("box2/host", status=Status.UNCHANGED),
        changed("box2/docker/engine", Status.APPLYING, "no Docker"),
    ]
    events += [Progress("box2/docker/engine", 3e6, 12e6, "bytes")]
    events += [changed("box2/kubectl", Status.WAITING, "waits for the package manager")]
    lines = shown(events)
    assert lines[0].split() == ["engine", "group", "kubectl", "minikube"]
    assert row(lines, "box1").endswith("checks host")
    assert row(lines, "box2").endswith("3.0 of 12.0 MB")
    lines = shown(
        [events[0], changed("box1/kubectl", Status.APPLYING), Progress("box1/kubectl", 3, 7, "files")], seconds=2
    )
    assert row(lines, "box1").endswith("3 of 7 files")
    assert row(lines, "box2").endswith("waits for its turn")


TOOLS = ("curl", "docker/group", "docker/engine", "jdk", "leiningen", "repository")
MACHINE = tuple(
    PlanStep(
        f"this-machine/{tool}",
        tool,
        group="this-machine",
        after=("this-machine/docker/group",) * (tool == "docker/engine"),
    )
    for tool in TOOLS
)


def test_this_machines_tools_have_a_row_each_where_they_are_too_many_for_columns() -> None:
    events: list[Event] = [Plan(MACHINE), *ended("this-machine/curl", status=Status.UNCHANGED)]
    events += [changed("this-machine/jdk", Status.WAITING, "waits for the package manager", 1.0)]
    lines = shown(events)
    assert [line.split()[0] for line in lines[:6]] == list(TOOLS)
    assert row(lines, "curl").endswith("unchanged")
    assert row(lines, "jdk").endswith("waits for the package manager")
    assert row(lines, "docker/engine").endswith("waits for docker/group")
    wide = shown(events, width=120)
    assert wide[0].split() == ["curl", "group", "engine", "jdk", "leiningen", "repository"]
    assert row(wide, "this-machine").endswith("waits for the package manager")


def test_tools_beside_services_share_lines_below_the_name_of_their_machine() -> None:
    bases = (PlanStep("base/clojure", "", group="base"), PlanStep("base/postgres", "", group="base"))
    events: list[Event] = [Plan((*MACHINE, *bases, *plan(*SERVICES).steps))]
    events += ended(*(step.id for step in (*MACHINE, *bases)), status=Status.UNCHANGED)
    lines = shown(events)
    assert lines[0].split() == list(STAGES)
    apart = lines[1 + len(SERVICES) : -1]
    assert apart == [
        "this-machine: curl =   docker/group =   docker/engine =   jdk =   leiningen =",
        "repository =   base: clojure =   postgres =   secrets ·",
    ]


@pytest.mark.parametrize(
    ("groups", "rows"),
    [
        ({"auth": STAGES, "base": ("clojure",)}, ["auth"]),  # one service alone
        ({"base": ("clojure", "postgres"), "a": ("image",), "b": ("image",)}, ["a", "b"]),
        ({"base": ("clojure",), "auth": ("image",)}, ["auth"]),
        (
            {"box": ("host", "kubectl"), "a": STAGES, "db": ("image", "release")},
            ["a", "db"],
        ),  # a cluster's host, by `up`
        ({}, []),
    ],
)
def test_rows_are_the_groups_that_share_stages(groups: dict[str, Sequence[str]], rows: list[str]) -> None:
    steps = [PlanStep(f"{group}/{name}", name, group=group) for group, names in groups.items() for name in names]
    board = Board([PlanStep("secrets", "secrets"), *steps], Clock())
    assert [group.name for group in board.rows] == rows
    assert {step.name for group in board.singles for step in group.steps} >= {"secrets"}
    assert len(board.singles) + sum(len(group.steps) for group in board.rows) == len(board.steps)


def test_the_bar_has_the_usual_time_where_it_is_known() -> None:
    events: list[Event] = [plan("auth"), *ended("secrets")]
    assert shown(events, seconds=41)[-1].endswith("1 of 5 steps  41s")
    assert shown(events, seconds=41, expected=89.4)[-1].endswith("1 of 5 steps  41s of about 1m29s")
    assert shown(events, seconds=100, expected=89.4)[-1].endswith("1 of 5 steps  1m40s, usually 1m29s")


def test_scripts_get_a_plan_without_what_only_views_need() -> None:
    (step, *_) = fields(plan("auth"))["steps"]
    assert step == {"id": "secrets", "title": "generated secrets", "reason": ""}


class Terminal:
    """A live view on a terminal that pyte draws, with what scrolled out of it."""

    def __init__(self, width: int = 80, height: int = 24, past: Callable[[], Sequence[PastRun]] = tuple) -> None:
        self.out, self.clock = io.StringIO(), Clock()
        self.console = Console(file=self.out, force_terminal=True, width=width, height=height, highlight=False)
        self.view = Live(self.console, past, self.clock)
        self.size = (width, height)

    @property
    def screen(self) -> pyte.HistoryScreen:
        screen = pyte.HistoryScreen(*self.size)
        pyte.Stream(screen).feed(self.out.getvalue().replace("\n", "\r\n"))
        return screen

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    def see(self, text: str) -> None:
        """Wait until something stands on the terminal."""
        deadline = time.monotonic() + 10
        while text not in "\n".join(self.lines()):
            assert time.monotonic() < deadline, self.lines()
            time.sleep(0.02)


def test_a_run_of_seven_services_does_not_scroll_and_its_failure_stands_last() -> None:
    terminal = Terminal()
    events = [event for _, event in read(RECORDED / "failed.jsonl")]
    for event in events[:-1]:
        terminal.view.event(event)
    terminal.see("✗")
    assert not terminal.screen.history.top
    assert terminal.screen.cursor.hidden
    terminal.view.event(events[-1])
    assert not terminal.screen.cursor.hidden
    text = terminal.out.getvalue()
    assert text.count("failed: provider/smoke") == 1
    last = text[text.index("failed: provider/smoke") :]
    assert "expected status 418, got 200" in last
    assert "▸" not in last
    assert text.rindex(" failed in ") < text.index("failed: provider/smoke")


def test_the_board_stays_without_its_bar_above_the_summary() -> None:
    terminal = Terminal()
    terminal.view.event(plan("auth"))
    for event in ended("secrets", *(f"auth/{stage}" for stage in STAGES)):
        terminal.view.event(event)
    terminal.view.event(Finished(Outcome.DONE, 5, 0, 0, 9.0, ("auth  http://127.0.0.1:8080",)))
    lines = [line for line in terminal.lines() if line]
    assert [line.split()[0] for line in lines] == ["jar", "auth", "secrets", "done:", "auth"]
    assert not [line for line in lines if "steps" in line]


def test_nothing_is_drawn_while_nothing_changes() -> None:
    terminal = Terminal()
    terminal.view.event(plan("auth"))
    terminal.view.event(changed("secrets", Status.APPLYING))
    terminal.see("▸")
    before = terminal.out.tell()
    time.sleep(0.5)
    assert terminal.out.tell() == before
    terminal.clock.now = 1
    terminal.see("1s")
    terminal.view.close()


def test_on_a_terminal_that_got_narrower_the_board_is_drawn_anew_and_alone() -> None:
    terminal = Terminal()
    terminal.view.event(plan("auth", "order"))
    terminal.see("auth")
    terminal.console.width = 50  # and the clock stands
    deadline = time.monotonic() + 10
    while (
        "of 9 steps" not in terminal.out.getvalue().rpartition("\x1b[2J")[2] or "\x1b[2J" not in terminal.out.getvalue()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    tail = terminal.out.getvalue().rpartition("\x1b[2J")[2]
    screen = pyte.Screen(50, 24)
    pyte.Stream(screen).feed(tail.replace("\n", "\r\n"))
    assert sum(line.startswith("auth") for line in screen.display) == 1
    terminal.view.close()


RESIZED = """
import sys
from slipway.engine.events import Finished, Outcome, Plan, PlanStep
from slipway.ui.views import open_view
view = open_view("live", sys.stdout, "r")
view.event(Plan(tuple(PlanStep(f"s{n}/{s}", s, group=f"s{n}") for n in range(30) for s in ("jar", "image", "smoke"))))
sys.stdin.readline()
view.close()
"""


def test_a_real_terminal_may_change_its_size_while_the_board_is_drawn() -> None:
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    child = pexpect.spawn(
        sys.executable, ["-c", RESIZED], dimensions=(24, 80), env={**env, "TERM": "xterm"}, encoding="utf-8", timeout=20
    )
    child.expect_exact("of 90 steps")
    child.setwinsize(10, 50)
    child.expect_exact("\x1b[2J")
    child.expect_exact("of 90 steps")
    small = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in str(child.before).splitlines()]
    assert len(small) < 10
    assert max(map(len, small)) <= 50
    assert any(line.startswith("and ") for line in small)
    child.setwinsize(40, 100)
    child.expect_exact("s29")
    child.sendline()
    child.expect(pexpect.EOF)
    assert "\x1b[?25h" in str(child.before)  # the cursor is back
    child.close()
    assert child.exitstatus == 0


def test_earlier_runs_are_looked_up_only_by_a_run_that_lasts_and_after_its_first_drawing() -> None:
    asked: list[str] = []

    def past() -> Sequence[PastRun]:
        asked.append(terminal.out.getvalue())
        return [PastRun("deploy local", "done", 89.4, frozenset(), frozenset({"auth/jar"}))]

    terminal = Terminal(past=past)
    terminal.view.event(plan("auth"))
    time.sleep(0.3)
    assert asked == []
    terminal.clock.now = 2
    terminal.see("2s of about 1m29s")
    assert len(asked) == 1
    assert "auth" in asked[0]
    terminal.view.event(changed("auth/jar", Status.UNCHANGED))  # no earlier run had nothing to do there
    terminal.see("2s ")
    deadline = time.monotonic() + 10
    while "about" in "\n".join(terminal.lines()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    terminal.view.close()


def test_a_terminal_that_is_gone_ends_the_drawing_and_is_told_by_the_thread_that_draws_last() -> None:
    terminal = Terminal()
    terminal.view.event(plan("auth"))
    terminal.out.write = gone  # type: ignore[method-assign]
    terminal.clock.now = 1
    time.sleep(0.3)
    with pytest.raises(OSError, match="gone"):
        terminal.view.close()


def gone(_: str) -> int:
    """What writing to a terminal that is gone does."""
    raise OSError("gone")


def test_a_note_outside_a_run_is_printed_since_it_may_ask_for_a_touch() -> None:
    terminal = Terminal()
    terminal.view.event(Output("box1", "note", "Confirm user presence for key"))
    assert terminal.lines()[0] == "box1 | Confirm user presence for key"


def test_a_plan_marks_what_is_unchanged_as_the_board_does() -> None:
    terminal = Terminal()
    terminal.view.event(ComputedPlan((PlanStep("a", "a"), PlanStep("b", "b", "no jar"))))
    assert terminal.lines()[:2] == ["=  a", "~  b  no jar"]
