"""What helps, as it is pasted into a shell."""

from __future__ import annotations

import pytest

from slipway.errors import NextCommand, Problem, deploy_command
from tasks.hints import Hints


@pytest.mark.parametrize(
    ("flags", "command", "typed"),
    [
        ({}, NextCommand("setup"), "./invoke setup"),
        ({}, deploy_command(), "./invoke deploy"),
        ({"env": ""}, deploy_command("db", "auth"), "./invoke deploy --service db,auth"),
        ({"env": "staging"}, NextCommand("rollback", {"to": 3}), "./invoke rollback --to 3 --env staging"),
        ({"env": "other"}, NextCommand("forward", {"env": "other"}), "./invoke forward --env other"),
        ({}, NextCommand("bundle.verify", {"dir": "/a b"}), "./invoke bundle.verify --dir '/a b'"),
        ({"bundle": "/media/b"}, NextCommand("setup"), "./invoke setup --bundle /media/b"),
        ({"bundle": "/media/b"}, NextCommand("status"), "./invoke status"),
        ({}, NextCommand("deploy", {"service": "a", "watch": True}), "./invoke deploy --service a --watch"),
        (
            {"settings": "my config", "services": "theirs", "output": "json", "plan": True},
            NextCommand("status"),
            "./invoke status --settings 'my config' --services theirs",
        ),
    ],
)
def test_a_command_is_typed_for_what_the_command_at_hand_was_about(
    flags: dict[str, object], command: NextCommand, typed: str
) -> None:
    assert Hints(flags).typed(command) == typed


def test_a_hint_is_the_advice_and_then_each_command_on_a_line() -> None:
    problem = Problem("it broke", details="so", hint="look", commands=[NextCommand("status"), NextCommand("setup")])
    hints = Hints({"env": "staging"})
    assert hints.written(problem).hint == "look\n./invoke status --env staging\n./invoke setup --env staging"
    assert hints.explain(problem).startswith("it broke\nso\nhint: look\n      ./invoke status")
    assert hints.explain(Problem("it broke")) == "it broke"
