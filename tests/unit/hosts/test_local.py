"""The local machine as a host: output as it comes, whole process groups stopped, files whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.steps import Probe
from slipway.errors import Cancelled, Problem
from slipway.hosts import process
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Privilege, script
from slipway.hosts.local import LocalHost


def test_output_comes_line_by_line_and_whole() -> None:
    events: list[Event] = []
    done = LocalHost().run(
        script("echo one; echo two >&2; printf 'a\\rb\\nlast'; exit 3"), Reporter("x", events.append, Cancel())
    )
    lines = {(e.stream, e.text) for e in events if isinstance(e, Output)}
    assert lines == {("stdout", "one"), ("stderr", "two"), ("stdout", "b"), ("stdout", "last")}
    assert (done.exit_code, done.stdout) == (3, b"one\na\rb\nlast")


def test_a_large_input_and_output_do_not_block() -> None:
    data = b"x" * 3_000_000
    assert LocalHost().run(Command(("cat",), stdin=data), null_reporter()).stdout == data


def test_a_failed_command_names_its_cause() -> None:
    with pytest.raises(Problem) as caught:
        LocalHost().run(script("echo cause >&2; exit 4"), null_reporter()).raise_for_status("it broke", "fix it")
    assert (caught.value.summary, caught.value.hint) == ("it broke", "fix it")
    assert "cause" in caught.value.details
    assert "exit code 4" in caught.value.details


def test_a_command_does_not_have_the_secrets_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLIPWAY_SUDO_PASSWORD", "SLIPWAY_SSH_PASSWORD_BOX1", "SLIPWAY_SSH_PASSPHRASE", "SLIPWAY_SSH_PIN"):
        monkeypatch.setenv(name, "geheim")
    monkeypatch.setenv("SLIPWAY_ENV", "open")
    said = LocalHost().run(Command(("env",), env={"OWN": "1"}), null_reporter()).text
    assert "geheim" not in said
    assert {"SLIPWAY_ENV=open", "OWN=1"} <= set(said.splitlines())


def test_an_absent_command_is_a_problem_with_advice() -> None:
    with pytest.raises(Problem, match="is not on this machine"):
        LocalHost().run(Command(("no-such-command",)), null_reporter())


def test_an_absent_working_folder_is_named_and_not_the_command(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=f"folder {tmp_path}/absent does not exist"):
        LocalHost().run(Command(("true",), cwd=f"{tmp_path}/absent"), null_reporter())


def test_cancelling_ends_the_whole_group_even_one_that_ignores_it(tmp_path: Path) -> None:
    cancel, pids = Cancel(), tmp_path / "pids"
    text = f"trap '' TERM; sleep 300 & echo $! >{pids}; echo $$ >>{pids}; echo both run; wait; sleep 300"

    def hear(event: Event) -> None:
        if isinstance(event, Output) and event.text == "both run":
            cancel.request()

    began = time.monotonic()
    with pytest.raises(Cancelled):
        LocalHost().run(script(text), Reporter("x", hear, cancel))
    assert time.monotonic() - began < 6
    gone(pids)


def gone(pids: Path) -> None:
    deadline = time.monotonic() + 2  # a killed process may take a moment to go on a busy machine
    while alive := [pid for pid in map(int, pids.read_text().split()) if running(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.02)


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_child_that_ignores_the_signal_is_killed_though_its_leader_went(how: str, tmp_path: Path) -> None:
    cancel, pids = Cancel(), tmp_path / "pids"
    text = f"(trap '' TERM; exec sleep 47) & echo $! >{pids}; echo $$; wait"

    def hear(event: Event) -> None:
        if isinstance(event, Output) and how == "cancel":
            cancel.request()
            until = time.monotonic() + 0.5  # whoever hears the request may be faster than who looks at the clock
            while running(int(event.text)) and time.monotonic() < until:
                time.sleep(0.01)

    with pytest.raises(Cancelled) if how == "cancel" else pytest.raises(Problem, match="was stopped"):
        LocalHost().run(script(text, timeout=600 if how == "cancel" else 0.3), Reporter("x", hear, cancel))
    gone(pids)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHost:
    """The local machine as a user who may become root sees it: a root process is signalled through sudo, or not at all."""
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    sudo.chmod(0o755)
    real = os.killpg

    def denied(group: int, number: int) -> None:
        real(group, 0)
        raise PermissionError(1, "Operation not permitted", number)

    monkeypatch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "killpg", denied)
    here = LocalHost()
    here.probe = Probe(lambda: Facts("Linux", "x86_64", sudo="nopasswd"))
    return here


@pytest.mark.parametrize("limit", [{"timeout": 0.5}, {"idle": 0.5}])
def test_a_root_command_of_a_sudo_user_is_ended_too(limit: dict[str, float], user: LocalHost, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = Command(("sh", "-c", f"echo $$ >{pids}; sleep 47; true"), privilege=Privilege.ROOT, **limit)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(Problem, match="was stopped"):
        user.run(command, null_reporter())
    assert time.monotonic() - began < 3
    gone(pids)


def test_a_root_command_that_nobody_can_end_is_named_and_not_waited_for(
    user: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_PERIOD", 0.2)
    sudo = Path(os.environ["PATH"].split(":")[0]) / "sudo"
    sudo.write_text(sudo.read_text().replace("exec", 'case "$*" in *kill*) exit 1;; esac; exec'))
    events: list[Event] = []
    command = Command(("sleep", "4"), privilege=Privilege.ROOT, timeout=0.2)
    began = time.monotonic()
    with pytest.raises(Problem, match="was stopped"):
        user.run(command, Reporter("x", events.append, Cancel()))
    assert time.monotonic() - began < 3
    assert [e.text for e in events if isinstance(e, Output) and "`sleep` (pid " in e.text]


def test_last_output_larger_than_a_pipe_does_not_keep_a_command_from_ending() -> None:
    cancel, events = Cancel(), []
    text = "trap 'head -c 300000 /dev/zero; echo; echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done"

    def hear(event: Event) -> None:
        events.append(event)
        cancel.request()

    began = time.monotonic()
    with pytest.raises(Cancelled):
        LocalHost().run(script(text), Reporter("x", hear, cancel))
    assert time.monotonic() - began < process.GRACE_PERIOD
    assert isinstance(events[-1], Output)
    assert events[-1].text == "bye"


def test_a_command_that_closed_its_pipes_is_still_watched() -> None:
    with pytest.raises(Problem, match="was stopped"):
        LocalHost().run(script("exec >/dev/null 2>&1; sleep 47", timeout=0.3), null_reporter())


def running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("limit", [{"timeout": 0.3}, {"idle": 0.3}])
def test_a_command_that_takes_too_long_is_ended_and_named(limit: dict[str, float]) -> None:
    with pytest.raises(Problem, match="was stopped"):
        LocalHost().run(Command(("sleep", "300"), **limit), null_reporter())  # type: ignore[arg-type]


def test_a_file_is_written_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    LocalHost().write_file(b"content", str(path), 0o640, Privilege.USER, null_reporter())
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert LocalHost().read_file(str(path), null_reporter()) == b"content"


def test_an_unreadable_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="could not be read"):
        LocalHost().read_file(str(tmp_path / "absent"), null_reporter())
