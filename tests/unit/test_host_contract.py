"""What every host must do, asked of the real one and of the one in memory alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.errors import Cancelled, Problem
from slipway.events import Event, Output
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import Command, Host, Privilege
from slipway.hosts.local import Local
from slipway.steps import Cancel, Say, silent


def fake() -> FakeHost:
    programs = {
        "echo": lambda c: (0, " ".join(c.argv[1:]).encode() + b"\n", b""),
        "cat": lambda c: (0, c.stdin, b""),
        "false": lambda _: (1, b"", b""),
    }
    return FakeHost("a fake", Facts(kernel="Linux", arch="x86_64"), programs)


@pytest.fixture(params=["real", "fake"])
def host(request: pytest.FixtureRequest) -> Host:
    return Local() if request.param == "real" else fake()


def test_a_command_answers_with_its_exit_code_and_streams(host: Host) -> None:
    heard: list[Event] = []
    done = host.run(Command(("echo", "two words")), Say("x", heard.append, Cancel()))
    assert (done.exit, done.text) == (0, "two words\n")
    assert heard == [Output("x", "stdout", "two words")]
    assert host.run(Command(("cat",), stdin=b"given"), silent()).stdout == b"given"


def test_a_failed_command_is_an_answer_until_it_is_checked(host: Host) -> None:
    done = host.run(Command(("false",)), silent())
    assert done.exit == 1
    with pytest.raises(Problem, match="it went wrong"):
        done.checked("it went wrong")


def test_an_absent_program_is_a_problem_that_names_it(host: Host) -> None:
    with pytest.raises(Problem, match="no-such-program"):
        host.run(Command(("no-such-program",)), silent())


def test_nothing_runs_once_the_run_is_to_end(host: Host, tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.request()
    with pytest.raises(Cancelled):
        host.run(Command(("echo",)), silent(cancel))


def test_a_file_that_was_put_is_got_whole_and_an_absent_one_is_a_problem(host: Host, tmp_path: Path) -> None:
    place = str(tmp_path / "folder" / "file")
    host.put(b"\x00content", place, 0o600, Privilege.USER, silent())
    assert host.get(place, silent()) == b"\x00content"
    host.put(b"again", place, 0o600, Privilege.USER, silent())
    assert host.get(place, silent()) == b"again"
    with pytest.raises(Problem, match="absent"):
        host.get(str(tmp_path / "absent"), silent())


def test_its_facts_are_read_once_until_they_are_forgotten(host: Host) -> None:
    assert host.probe.facts() is host.probe.facts()
    assert host.probe.facts().kernel == "Linux"
