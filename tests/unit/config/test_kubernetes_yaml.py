"""Manifests as kubectl reads them. Each value was read off `kubectl annotate --local --output json` of 1.34."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.config.kubernetes_yaml import documents, json_value, resolve
from slipway.config.yaml_reader import Unreadable


def read(folder: Path, text: str) -> list[object]:
    file = folder / "own.yaml"
    file.write_text(text)
    return [json_value(one) for one in documents(file)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0400", 256), ("0644", 420), ("0o17", 15), ("-010", -8), ("0b11", 3), ("0x1F", 31), ("1_000", 1000), ("089", 89), ("0", 0), ("00", 0),
        ("9007199254740993", 9007199254740993), ("-9223372036854775808", -(2**63)), ("08", 8), ("0x_1", 1), ("_1", "_1"), ("+0x1", 1),
        ("1e3", 1000), ("1.0", 1), ("1.5", 1.5), (".5", 0.5), ("-.5", -0.5), ("1.", 1), ("+1", 1), ("1e-3", 0.001), ("1e20", 10**20), ("1e21", 1e21), ("-0.0", 0),
        ("yes", True), ("on", True), ("y", True), ("Y", True), ("ON", True), ("no", False), ("Off", False), ("n", False), ("true", True), ("yEs", "yEs"),
        ("~", None), ("null", None), ("", None), ("Null", None),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"), ("2024-05-01", "2024-05-01"), ("12:30:45", "12:30:45"),
        ("'0400'", "0400"), ('"yes"', "yes"), ("!!str yes", "yes"), ("!!str 0400", "0400"), ("!!float 3", 3),
        ("0x", "0x"), ("0b2", "0b2"), ("1.2.3", "1.2.3"), ("1e999", "1e999"), ("v1", "v1"), ("+", "+"), (".", "."), ("٣", "٣"), ("1__0", 10), ("._5", "._5"),
        ("[010, yes]", [8, True]), ("{010: a, on: b, 1.50: c, 2024-05-01: d}", {"8": "a", "true": "b", "1.5": "c", "2024-05-01": "d"}),
        ("|\n  yes", "yes\n"), ("=", "="),
        ("-9223372036854775809", -9223372036854776000), ("18446744073709551616", 18446744073709552000),
        (".1_0", 0.1), ("._1", "._1"), (".1__0", ".1__0"), (".1_", ".1_"), ("{1_000_000: a, 1e3: b, 0.1: c}", {"1000000": "a", "1000": "b", "0.1": "c"}), ("-.5_5", -0.55), ("{!!timestamp 2024-05-01: a}", {"2024-05-01": "a"}),
    ],
)  # fmt: skip
def test_a_value_is_what_kubectl_reads(tmp_path: Path, written: str, value: object) -> None:
    (found,) = read(tmp_path, f"a: {written}\n")
    assert json.dumps(found) == json.dumps({"a": value})


def test_a_merged_mapping_is_merged_and_an_alias_repeats(tmp_path: Path) -> None:
    text = "a: &a {mode: 0400}\nb: {<<: *a, c: yes}\nd: *a\n"
    assert read(tmp_path, text) == [{"a": {"mode": 256}, "b": {"mode": 256, "c": True}, "d": {"mode": 256}}]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("between", ["---", "--- # c", "...\n---", "---\n\n# c\n---"])
def test_documents_are_separated_as_kubectl_separates_them(tmp_path: Path, between: str, end: str) -> None:
    text = f"---\na: |\n  ...\n{between}\nb: 2\n...\n# c\n".replace("\n", end)
    (tmp_path / "own.yaml").write_bytes(text.encode())
    found = [json_value(one) for one in documents(tmp_path / "own.yaml")]
    assert [one for one in found if one is not None] == [{"a": "...\n"}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "line", "summary"),
    [
        ("a: 1\na: 2\n", 2, "duplicate key"),
        ("a: 1\non: 1\nyes: 2\n", 3, "duplicate key"),
        ("a: 1\nb: .inf\n", 2, "JSON has no number .inf"),
        ("a: 1\n~: 2\n", 2, "a key can't be null"),
        ("a: !!bool maybe\n", 1, "not true or false"),
        ("a: 1\n18446744073709551616: 2\n", 2, "kubectl rounds the key"),
        ("a: 1\n1e6: 2\n", 2, "kubectl rounds the key"),
        ("a: 1\nb: !Ref c\n", 2, "unknown tag"),
        ("a: 1\nb: !!binary YQ==\n", 2, "unknown tag"),
        ("a: 1\n--- {b: 1}\n", 2, "kubectl takes nothing but a comment behind ---"),
        ("a: 1\n...\n# c\nb: 1\n", 2, "kubectl reads nothing behind ..."),
    ],
)
def test_what_kubectl_reads_as_something_else_or_refuses_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, summary: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        read(tmp_path, text)
    assert (raised.value.line, summary in raised.value.summary) == (line, True), raised.value.summary


@settings(deadline=None)
@given(st.text("0123456789abxoeE_+-.yYnNtruefalsi~:T", max_size=8))
def test_any_unquoted_text_has_a_value_of_json(text: str) -> None:
    found = resolve(text)
    assert isinstance(found, str | int | float | bool | None)
    assert not isinstance(found, str) or found == text
