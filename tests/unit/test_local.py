"""The machine here as a host: output as it comes, whole process groups ended, files whole or not at all."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from slipway.errors import Cancelled, Problem
from slipway.events import Event, Output
from slipway.hosts.host import Command, Privilege, script
from slipway.hosts.local import Local
from slipway.steps import Cancel, Say, silent


def test_output_comes_line_by_line_and_whole() -> None:
    events: list[Event] = []
    done = Local().run(
        script("echo one; echo two >&2; printf 'a\\rb\\nlast'; exit 3"), Say("x", events.append, Cancel())
    )
    lines = {(e.stream, e.text) for e in events if isinstance(e, Output)}
    assert lines == {("stdout", "one"), ("stderr", "two"), ("stdout", "b"), ("stdout", "last")}
    assert (done.exit, done.stdout) == (3, b"one\na\rb\nlast")


def test_a_large_input_and_output_do_not_block() -> None:
    data = b"x" * 3_000_000
    assert Local().run(Command(("cat",), stdin=data), silent()).stdout == data


def test_a_failed_command_names_its_cause() -> None:
    with pytest.raises(Problem) as caught:
        Local().run(script("echo cause >&2; exit 4"), silent()).checked("it broke", "mend it")
    assert (caught.value.what, caught.value.fix) == ("it broke", "mend it")
    assert "cause" in caught.value.why
    assert "exit code 4" in caught.value.why


def test_an_absent_command_is_a_problem_with_advice() -> None:
    with pytest.raises(Problem, match="is not on this machine"):
        Local().run(Command(("no-such-command",)), silent())


def test_cancelling_ends_the_whole_group_even_one_that_ignores_it(tmp_path: Path) -> None:
    cancel, pids = Cancel(), tmp_path / "pids"
    text = f"trap '' TERM; sleep 300 & echo $! >{pids}; echo $$ >>{pids}; wait; sleep 300"
    threading.Timer(1, cancel.request).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        Local().run(script(text), Say("x", lambda _: None, cancel))
    assert time.monotonic() - began < 6
    deadline = time.monotonic() + 2  # a killed process may take a moment to go on a busy machine
    while alive := [pid for pid in map(int, pids.read_text().split()) if running(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("limit", [{"timeout": 0.3}, {"idle": 0.3}])
def test_a_command_that_takes_too_long_is_ended_and_named(limit: dict[str, float]) -> None:
    with pytest.raises(Problem, match="was ended"):
        Local().run(Command(("sleep", "300"), **limit), silent())  # type: ignore[arg-type]


def test_a_file_is_written_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    Local().put(b"content", str(path), 0o640, Privilege.USER, silent())
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert Local().get(str(path), silent()) == b"content"


def test_an_unreadable_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="could not be read"):
        Local().get(str(tmp_path / "absent"), silent())
