"""`env`: environment variables."""

from __future__ import annotations

import pytest

from slipway.config.secret_sources.env import FromEnv


def test_the_value_is_the_variables_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_A", "$'\"ü\n")
    assert FromEnv(env="SECRET_A").read() == "$'\"ü\n"


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ValueError, match="the environment variable NO_SUCH_VARIABLE is not set"):
        FromEnv(env="NO_SUCH_VARIABLE").read()


def test_a_variable_that_is_empty_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_A", "")
    with pytest.raises(ValueError, match="the environment variable SECRET_A is empty"):
        FromEnv(env="SECRET_A").read()
