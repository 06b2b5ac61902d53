"""What every host must do."""

from __future__ import annotations

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Command, Host, Privilege


class HostContract:
    """A subclass has a fixture `host`, and `folder`, a path on it that does not exist yet."""

    def test_a_command_returns_its_exit_code_and_streams(self, host: Host) -> None:
        events: list[Event] = []
        result = host.run(Command(("echo", "two words")), Reporter("x", events.append, Cancel()))
        assert (result.exit_code, result.text) == (0, "two words\n")
        assert events == [Output("x", "stdout", "two words")]
        assert host.run(Command(("cat",), stdin=b"given"), null_reporter()).stdout == b"given"

    def test_a_failed_command_returns_a_result_that_raises_when_it_is_checked(self, host: Host) -> None:
        result = host.run(Command(("false",)), null_reporter())
        assert result.exit_code == 1
        with pytest.raises(Problem, match="it went wrong"):
            result.raise_for_status("it went wrong")

    def test_an_absent_program_is_a_problem_that_names_it(self, host: Host) -> None:
        with pytest.raises(Problem, match="no-such-program"):
            host.run(Command(("no-such-program",)), null_reporter())

    def test_nothing_runs_once_the_run_is_cancelled(self, host: Host) -> None:
        cancel = Cancel()
        cancel.request()
        with pytest.raises(Cancelled):
            host.run(Command(("echo",)), null_reporter(cancel))

    def test_a_file_that_was_written_is_read_whole_and_an_absent_one_is_a_problem(
        self, host: Host, folder: str
    ) -> None:
        path = f"{folder}/file"
        host.write_file(b"\x00content", path, 0o600, Privilege.USER, null_reporter())
        assert host.read_file(path, null_reporter()) == b"\x00content"
        host.write_file(b"again", path, 0o600, Privilege.USER, null_reporter())
        assert host.read_file(path, null_reporter()) == b"again"
        with pytest.raises(Problem, match="absent"):
            host.read_file(f"{folder}/absent", null_reporter())

    def test_its_facts_are_read_once_until_they_are_forgotten(self, host: Host) -> None:
        assert host.probe.facts() is host.probe.facts()
        assert host.probe.facts().kernel == "Linux"
