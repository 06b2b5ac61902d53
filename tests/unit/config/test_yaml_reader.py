"""YAML files: texts as they are written, and errors with their line and a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.config.load import load
from slipway.config.models import Service
from slipway.config.scalar import yaml_value
from slipway.config.yaml_reader import Unreadable, documents, plain
from tests.unit.config.conftest import PLAIN, errors, service

NUMBERS = [
    "1.10",
    "24.10",
    "0042",
    "1234e56",
    "0123456",
    "1e3",
    "0x1F",
    "0o17",
    "1_000",
    ".5",
    "-0",
    "+1",
    ".inf",
    ".nan",
]
DATES = ["2024-05-01T10:00:00Z", "2024-05-01", "2024-05-01 10:00:00 +2"]


@pytest.mark.parametrize(
    "text", [*NUMBERS, *DATES, "yes", "off", "1:30", "1.2.3", "0x_", "9" * 5000, "0x" + "f" * 5000]
)
def test_a_value_is_the_text_that_was_written(team: Path, text: str) -> None:
    service(team, "web", PLAIN + f"env: {{VALUE: {text}}}\nversion: 1.10\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "local.yaml").write_text(f"services: {{web: {{env: {{OTHER: {text}}}}}}}\n")
    config = load(team)
    found = config.service_for(config.environments["local"], "web")
    assert found.env == {"VALUE": text, "OTHER": text}
    assert found.version == "1.10"
    assert type(found.env["VALUE"]) is str


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.from_regex(r"[-+.]?[0-9a-fA-F]([0-9a-fA-FxoeE_.:TZ+-]{0,12}[0-9a-fZ_.])?", fullmatch=True))
def test_any_plain_scalar_is_the_text_of_the_file(tmp_path: Path, text: str) -> None:
    assert values(tmp_path, f"one: {text}\ntwo: [{text}]\n{text}: c\n") == {"one": text, "two": [text], text: "c"}


def values(folder: Path, text: str) -> Any:
    """What is made of a file of this text."""
    (folder / "a.yaml").write_text(text)
    return plain(next(documents(folder / "a.yaml")))


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("1.50", 1.5), ("1e3", 1000.0), ("0x1F", 31), ("-7", -7), ("true", True), ("~", None), ("'10'", "10"), ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z")],
)  # fmt: skip
def test_a_field_that_wants_a_type_of_json_gets_it(team: Path, text: str, value: object) -> None:
    service(team, "web", PLAIN + f"checks: [{{name: x, curl: curl $BASE, expect: {{json: {{$.a: [{text}]}}}}}}]\n")
    found = load(team).services["web"].checks[0].expect.at.root["$.a"]
    assert found == [value]
    assert type(found[0]) is type(value)


def test_a_field_that_wants_a_number_gets_one(tmp_path: Path) -> None:
    found = Service.model_validate(values(tmp_path, "name: web\nport: 8080\nreplicas: 3\nresources: {cpu: 0.50}\n"))
    assert (found.port, found.replicas, found.resources.cpu) == (8080, 3, "0.50")


def test_keys_are_texts_as_written_too(tmp_path: Path) -> None:
    found = values(tmp_path, "1.10: a\n0x1F: b\ntrue: c\n~: d\n[1, 2]: e\n")
    assert list(found)[:4] == ["1.10", "0x1F", "true", "null"]
    assert yaml_value({"a": [found]})


@pytest.mark.parametrize(
    ("value", "hint"),
    [("true", "VALUE must be a string, not True · as a text: VALUE: 'true'"), ("", "VALUE must be a string, not None · as a text: VALUE: ''")],
)  # fmt: skip
def test_what_yaml_takes_for_no_text_says_how_it_is_written_as_one(team: Path, value: str, hint: str) -> None:
    service(team, "web", PLAIN + f"env:\n  VALUE: {value}\n")
    assert errors(team) == [f"apps/web/service.yaml:5: env.{hint}"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'a: 1\nb: curl -H "A: b" x\n', "2: mapping values are not allowed here · a value with `: ` in it needs quotes, or `>-`"),
        (b"a: 1\n  b: 2\n", "2: mapping values are not allowed here · check the indentation"),
        (b"a:\n\tb: 1\n", "2: found character '\\t' that cannot start any token · indent with spaces"),
        (b"a: `b`\n", "1: found character '`' that cannot start any token · a value that starts with this character needs quotes"),
        (b"a: *b\n", "1: found undefined alias 'b' · a value that starts with this character needs quotes"),
        (b"a: {b: c[d}\n", "1: "),
        (b"a: 'b\n", "2: found unexpected end of stream · a quote is not closed"),
        (b"a: 1\nb: !vault x\n", "2: unknown tag !vault · Slipway has no tags"),
        (b"a: !!binary aGk=\n", "1: unknown tag tag:yaml.org,2002:binary"),
        (b"a: !!omap [{a: 1}, {a: 2}]\n", "1: unknown tag tag:yaml.org,2002:omap"),
        (b"b: 1\na: !!bool maybe\n", "2: not true or false"),
        (b"b: 1\na: {{x: [1]}}\n", "2: a key can't be a mapping or list · a value that starts with {{ needs quotes"),
        (b"a: 1\nb: gr\xfc\xdf\n", "2: not UTF-8 text · save it as UTF-8"),
        (b"a: 1\nb: \x07\n", "2: unacceptable character #x0007: special characters are not allowed"),
        (b'a: 1\nb: "\\ud800"\n', "2: a surrogate is not a character"),
        (b"[" * 600, "1: too many levels"),
        (b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(b"%c: &%c [*%c, *%c, *%c, *%c, *%c]\n" % (i + 1, i + 1, *[i] * 5) for i in range(97, 107)), "1: more than 100000 values"),
    ],
)  # fmt: skip
def test_what_is_not_yaml_is_told_with_its_line_and_a_hint(tmp_path: Path, text: bytes, error: str) -> None:
    (tmp_path / "a.yaml").write_bytes(text)
    with pytest.raises(Unreadable) as caught:
        list(documents(tmp_path / "a.yaml"))
    found = caught.value
    assert f"{found.line}: {found.summary} · {found.hint}".startswith(error)


def test_a_file_of_two_documents_is_refused(team: Path) -> None:
    service(team, "web", PLAIN + "---\nname: api\n")
    assert errors(team) == ["apps/web/service.yaml:1: must be one mapping · lines of `key: value`"]


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    assert values(tmp_path, "\ufeffa: x\n") == {"a": "x"}
