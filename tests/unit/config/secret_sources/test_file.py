"""`file`: text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.secret_sources.file import FromFile


def test_the_value_is_the_text_without_its_last_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").write_text("two\nlines\n\n")
    assert FromFile(file=str(tmp_path / "b")).read() == "two\nlines"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FromFile(file="~/b").read() == "two\nlines"


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't read /no/such: No such file or directory"):
        FromFile(file="/no/such").read()
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="/b is not text"):
        FromFile(file=str(tmp_path / "b")).read()


@pytest.mark.parametrize(("content", "reason"), [("", "empty"), ("\n \n", "empty"), ("a\0b", "not text")])
def test_a_file_without_a_value_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "b").write_text(content)
    with pytest.raises(ValueError, match=f"/b is {reason}"):
        FromFile(file=str(tmp_path / "b")).read()
