"""What the lab says before it makes anything."""

from __future__ import annotations

import shutil

import pytest

from slipway.errors import Problem, UsageError
from tests.lab import machines


def test_programs_that_the_lab_lacks_are_named_with_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "debootstrap" else f"/usr/bin/{name}")
    with pytest.raises(UsageError, match="lacks debootstrap") as raised:
        machines.require_programs()
    assert raised.value.hint == "apt-get install debootstrap"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", str)
    with pytest.raises(UsageError, match="needs root"):
        machines.require_programs()


def test_a_command_of_the_lab_that_fails_is_a_problem_with_its_output() -> None:
    with pytest.raises(Problem, match="exit code 3") as raised:
        machines.sh("sh", "-c", "echo told >&2; exit 3")
    assert raised.value.details == "told\n"
