"""Paths that users write."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.paths import expand_user, folder_option, is_file, is_folder


def test_a_tilde_is_the_users_home_and_an_unknown_users_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert expand_user("~/key") == Path("/home/ann/key")
    assert expand_user("~nobody-of-this-name/key") == Path("~nobody-of-this-name/key")


def test_a_flag_comes_before_the_variable_and_both_are_relative_to_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", "../from-variable")
    assert folder_option("from-flag", "FOLDER", tmp_path) == tmp_path / "from-flag"
    assert folder_option(None, "FOLDER", tmp_path) == tmp_path.parent / "from-variable"
    monkeypatch.delenv("FOLDER")
    assert folder_option(None, "FOLDER", tmp_path) is None


def test_a_path_that_no_system_call_takes_is_neither_file_nor_folder(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert is_file(tmp_path / "f")
    assert is_folder(tmp_path)
    for name in ("a" * 300, "a\0b", "a/" * 3000):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
