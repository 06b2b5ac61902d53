"""Addresses of hosts.yaml: every form that ssh takes is understood, anything else is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.config.load import load_hosts
from slipway.config.models import HostEntry
from slipway.config.ssh_destination import Destination, parse_destination
from tests.unit.config.conftest import errors


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("box", ("box", None, None)),
        ("box_1.example.", ("box_1.example.", None, None)),
        ("bücher.example", ("bücher.example", None, None)),
        ("192.0.2.1", ("192.0.2.1", None, None)),
        ("192.0.2.1:2222", ("192.0.2.1", None, 2222)),
        ("deploy@192.0.2.1", ("192.0.2.1", "deploy", None)),
        ("deploy@example.com@192.0.2.1:22", ("192.0.2.1", "deploy@example.com", 22)),
        ("2001:db8::7", ("2001:db8::7", None, None)),
        ("fe80::1%eth0", ("fe80::1%eth0", None, None)),
        ("[2001:db8::7]", ("2001:db8::7", None, None)),
        ("[2001:db8::7]:2222", ("2001:db8::7", None, 2222)),
        ("ann@[2001:db8::7]:2222", ("2001:db8::7", "ann", 2222)),
        ("ssh://deploy@192.0.2.1:2222", ("192.0.2.1", "deploy", 2222)),
        ("ssh://[2001:db8::7]/", ("2001:db8::7", None, None)),
        ("::1", ("::1", None, None)),
    ],
)
def test_a_destination_is_understood(text: str, found: tuple[str, str | None, int | None]) -> None:
    assert parse_destination(text) == Destination(*found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "-oProxyCommand=x",
        "@box",
        "-x@box",
        "box:",
        "box:0",
        "box:70000",
        "box:ssh",
        "box:²",
        "[box",
        "[]",
        "[::1]x",
        "[::1]:",
        "1:2:3",
        "ssh://",
        "ssh://box/path",
        "http://box",
        "box\n",
        "b$x",
        "b;x",
        "a,b",
        "::1%$(x)",
        "\0",
    ],
)
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"destination|user name|port"):
        parse_destination(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("box: {address: ''}", "config/hosts.yaml:2: hosts.box.address: '' is not an SSH destination"),
        ("box: {address: -x}", "config/hosts.yaml:2: hosts.box.address: '-x' is not an SSH destination"),
        ("box: {address: a, jump: 'b c'}", "config/hosts.yaml:2: hosts.box.jump: 'b c' is not an SSH destination"),
        ("box: {address: a, user: '-x'}", "config/hosts.yaml:2: hosts.box.user: '-x' is not a user name"),
        (
            "box: {address: ann@a, user: bob}",
            "config/hosts.yaml:2: hosts.box: `user` is in `address` too: write `address: a`, `user: bob`",
        ),
        (
            "box: {address: '[::1]:22', port: 2222}",
            "config/hosts.yaml:2: hosts.box: `port` is in `address` too: write `address: ::1`, `port: 2222`",
        ),
    ],
)
def test_an_invalid_address_is_reported_with_its_line(team: Path, text: str, error: str) -> None:
    (team / "config" / "hosts.yaml").write_text(f"hosts:\n  {text}\n")
    assert load_hosts(team, None) is None  # so that whoever needs only this file asks `load` too
    (said,) = errors(team)
    assert said.startswith(error)


@settings(max_examples=300, derandomize=True, database=None)
@given(
    st.one_of(
        st.text(max_size=12),
        st.text(alphabet="ab1:@[]%./-~ \\s", max_size=12),
        st.from_regex(r"(ssh://)?(a@)?(\[::1\]|b|1\.2)(:[0-9]{1,6})?/?", fullmatch=True),
    )
)
def test_any_text_is_a_destination_that_no_option_or_shell_can_take_for_another_or_refused(text: str) -> None:
    try:
        found = HostEntry(address=text).destination
    except ValidationError:
        return
    assert found.host
    assert not found.host.startswith("-")
    assert not set(found.host) & set(" '\"`$\\;&<>|(){}@/[]\0\n")
    assert found.port is None or 0 < found.port < 65536
