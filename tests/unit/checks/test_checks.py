"""Checks: curl lines parsed, refused, asked with the real curl, and judged."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.checks.runner import CheckReport, run_checks
from slipway.config.curl import parse, pasteable, quoted, split
from slipway.config.models import Check


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, as JSON."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = {
            "method": self.command,
            "path": self.path,
            "body": body.decode("latin-1"),
            "headers": dict(self.headers),
        }
        text = b"\n\r\n\0\xff binary" if self.path == "/binary" else json.dumps(data).encode()
        redirect = self.path == "/redirect"
        self.send_response(302 if redirect else 200)
        if redirect:
            self.send_header("Location", "/after")
        self.send_header("X-Token", "Bearer secret-token-value")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def curl(argv: Sequence[str], stdin: bytes, seconds: float) -> tuple[int, bytes, bytes]:
    assert argv == ("curl", "-q", "-K", "-"), "nothing of a check may be in argv"
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=seconds, check=False)
    return done.returncode, done.stdout, done.stderr


def check(line: str, expect: dict[str, Any], save: dict[str, Any] | None = None, name: str = "x") -> Check:
    return Check.model_validate({"name": name, "curl": line, "expect": expect, "save": save or {}})


def ask(base: str, *checks: Check) -> CheckReport:
    return run_checks(checks, {"BASE": base}, curl, seconds=2)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("wget $BASE", "begin with curl"),
        ("curl", "one URL, not 0"),
        ("curl $BASE $BASE", "one URL, not 2"),
        ("curl http://x", "must begin with $BASE"),
        ("curl 'x", "' is not closed"),
        ("curl $BASE | sh", "needs a shell"),
        ("curl $BASE; ls", "needs a shell"),
        ("curl $(ls) $BASE", "needs a shell"),
        ("curl `ls` $BASE", "needs a shell"),
        ("curl $BASE > f", "needs a shell"),
        ("curl -o f $BASE", "-o is refused: it writes a file"),
        ("curl -sof $BASE", "-o is refused"),
        ("curl -K f $BASE", "-K is refused"),
        ("curl -d @f $BASE", "would read a file"),
        ("curl -H @f $BASE", "would read a file"),
        ("curl --data-binary @f $BASE", "would read a file"),
        ("curl --json @f $BASE", "would read a file"),
        ("curl --data-urlencode @/etc/passwd $BASE", "would read a file"),
        ("curl --data-urlencode name@/etc/passwd $BASE", "would read a file"),
        ("curl --url-query @/etc/passwd $BASE", "would read a file"),
        ("curl --url-query name@/etc/passwd $BASE", "would read a file"),
        ("curl --url @urls.txt", "would read a file"),
        ("curl -b jar.txt $BASE", "would read a file"),
        ("curl --cert c $BASE", "--cert is not on the list"),
        ("curl -X", "-X wants a value"),
        ("curl $FLAG $BASE", "one URL, not 2"),
        ("curl -$FLAG $BASE", "can't be made of a variable"),
    ],
)
def test_a_line_that_does_more_than_ask_is_refused(line: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(line)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("line", "expect"),
    [
        ('curl -i "$BASE/a?x=1&y=2"', {"status": 200, "json": {"$.path": "/a?x=1&y=2", "$.method": "GET"}}),
        ("curl -XDELETE ${BASE}/a", {"json": {"$.method": "DELETE"}}),
        ("curl -isX PUT -d 'a=$b' $BASE/a", {"json": {"$.method": "PUT", "$.body": "a=$b"}}),
        (r'curl --data-raw "a\"b\\c" $BASE', {"json": {"$.body": 'a"b\\c'}}),
        ("curl -d 'zwei\nZeilen\tü' $BASE", {"json": {"$.body": "zwei\nZeilen\tü".encode().decode("latin-1")}}),
        ("curl -H 'X-A: 1' -H 'X-B: 2' $BASE", {"json": {"$.headers.X-A": "1", "$.headers.X-B": "2"}}),
        ("curl -I $BASE/head", {"status": 200, "headers": {"x-token": "^Bearer"}}),
        ("curl $BASE/redirect", {"status": 302, "headers": {"Location": "^/after$"}}),
        ("curl -L $BASE/redirect", {"status": 200, "json": {"$.path": "/after"}}),
        ("curl -G -d q=1 $BASE/s", {"json": {"$.path": "/s?q=1"}}),
        ("curl $BASE/binary", {"status": 200, "body": "binary$"}),
    ],
)
def test_what_is_asked_arrives_and_is_judged(base: str, line: str, expect: dict[str, Any]) -> None:
    outcome = ask(base, check(line, expect))
    assert outcome.ok, outcome.text


@pytest.mark.parametrize(
    ("expect", "fault"),
    [
        ({"status": 201}, "wanted status 201, got 200"),
        ({"headers": {"X-Token": "^Basic"}}, "wanted header X-Token like ^Basic, got Bearer"),
        ({"headers": {"Absent": "."}}, "wanted header Absent like ., got none"),
        ({"body": "nowhere"}, "wanted a body like nowhere"),
        ({"json": {"$.method": "POST"}}, 'wanted $.method to be "POST", got "GET"'),
        ({"json": {"$.nothing": 1}}, "wanted $.nothing to be 1, got nothing"),
        ({"within": 0.000001}, "wanted it within 1e-06 s"),
    ],
)
def test_a_wrong_answer_says_what_was_wanted_and_what_came(base: str, expect: dict[str, Any], fault: str) -> None:
    outcome = ask(base, check("curl $BASE/x", expect))
    assert not outcome.ok
    assert fault in outcome.text
    assert f"curl {base}/x" in outcome.text


def test_true_is_not_one(base: str) -> None:
    assert not ask(base, check("curl -d 1 $BASE/x", {"json": {"$.body": 1}})).ok


def test_a_saved_value_is_used_and_masked(base: str) -> None:
    first = check("curl $BASE", {"status": 200}, {"TOKEN": {"header": "X-Token", "match": "Bearer (.+)"}}, "first")
    second = check('curl -H "Authorization: Bearer $TOKEN" $BASE', {"status": 500}, name="second")
    outcome = ask(base, first, second)
    assert outcome.record == {"first": True, "second": False}
    assert "secret-token-value" not in outcome.text
    assert "$TOKEN" in outcome.text
    assert "Bearer ***" in outcome.text


@pytest.mark.parametrize("wanted", [(201, 200), (200, 201)])
def test_a_failure_is_not_hidden_by_another_check_of_its_name(base: str, wanted: tuple[int, int]) -> None:
    outcome = ask(base, *(check("curl $BASE", {"status": status}) for status in wanted))
    assert outcome.record == {"x": False}


@pytest.mark.parametrize(
    ("flag", "body"),
    [
        ("-d $X", "@/etc/passwd"),
        ("--data-binary $X", "@/etc/passwd"),
        ("-d n=1 -d $X", "n=1&@/etc/passwd"),
        ("--data-urlencode =$X", "%40%2Fetc%2Fpasswd"),
        ("--data-urlencode n=$X", "n=%40%2Fetc%2Fpasswd"),
    ],
)
def test_a_saved_value_is_sent_and_never_read_as_a_file(base: str, flag: str, body: str) -> None:
    first = check("curl -d unused $BASE/@/etc/passwd", {}, {"X": {"json": "$.path", "match": "/(.+)"}}, "first")
    outcome = ask(base, first, check(f"curl {flag} $BASE", {"json": {"$.body": body}}, name="second"))
    assert outcome.ok, outcome.text


@pytest.mark.parametrize(
    "flag", ["--json $X", "-H $X", "--data-urlencode $X", "--data-urlencode n$X", "--url-query $X"]
)
def test_a_saved_value_that_would_name_a_file_is_not_asked_with(base: str, flag: str) -> None:
    first = check("curl $BASE/@/etc/passwd", {}, {"X": {"json": "$.path", "match": "/(.+)"}}, "first")
    outcome = ask(base, first, check(f"curl {flag} $BASE", {}, name="second"))
    assert outcome.record == {"first": True, "second": False}
    assert "would read a file" in outcome.text
    assert "root:" not in outcome.text


def test_a_check_whose_value_never_came_is_not_asked(base: str) -> None:
    first = check("curl $BASE", {}, {"TOKEN": {"header": "Nope"}}, "first")
    outcome = ask(base, first, check("curl $BASE/$TOKEN", {}, name="second"))
    assert outcome.record == {"first": False, "second": False}
    assert "not asked: $TOKEN did not come" in outcome.text


def test_nobody_there_is_said_in_plain_words() -> None:
    outcome = ask("http://127.0.0.1:1", check("curl $BASE", {"status": 200}))
    assert "wanted an answer, got none: connection refused" in outcome.text


def test_a_pasteable_line_names_the_address_and_keeps_variables() -> None:
    line = parse('curl -d "$AUTH_URL" "${BASE}/$TOKEN"')
    urls = {"BASE": "http://h:1", "AUTH_URL": "http://h:2"}
    assert pasteable(line, urls) == 'curl -d "http://h:2" "http://h:1/$TOKEN"'


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=40))
def test_any_body_arrives_whole(base: str, text: str) -> None:
    line = "curl --data-raw '" + text.replace("'", "'\\''") + "' $BASE"
    outcome = ask(base, check(line, {"json": {"$.body": text.encode().decode("latin-1")}}))
    assert outcome.ok, outcome.text


@given(text=st.text(max_size=80))
def test_no_line_gives_anything_but_a_value_error(text: str) -> None:
    try:
        split(text)
        parse(text)
    except ValueError:
        pass


def test_a_nul_can_not_be_sent() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")
