"""Checks against a server of ours, with the real curl."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.checks.report import CheckReport
from slipway.checks.runner import CurlRunner, RunCommands, one_by_one
from slipway.checks.script import by_one_shell
from slipway.config.models import Check
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.hosts.host import Command, Result


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


def curl(command: Command, _: Reporter) -> Result:
    assert command.argv in {("curl", "-q", "-K", "-"), ("sh",)}, "nothing of a check may be in argv"
    done = subprocess.run(command.argv, input=command.stdin, capture_output=True, timeout=command.timeout, check=False)
    return Result(command, done.returncode, done.stdout, done.stderr)


def check(line: str, expect: dict[str, Any], save: dict[str, Any] | None = None, name: str = "x") -> Check:
    return Check.model_validate({"name": name, "curl": line, "expect": expect, "save": save or {}})


def ask(
    base: str, *checks: Check, events: list[Event] | None = None, commands: RunCommands | None = None
) -> CheckReport:
    emit = (events if events is not None else []).append
    runner = CurlRunner(commands or one_by_one(curl), timeout=2)
    return runner.run(checks, {"BASE": base}, Reporter("web/smoke", emit, Cancel()))


def test_how_many_passed_is_reported(base: str) -> None:
    events: list[Event] = []
    ask(base, check("curl $BASE", {"status": 200}), check("curl $BASE", {"status": 500}, name="y"), events=events)
    notes = [event.text for event in events if isinstance(event, Output)]
    assert len(notes) == 1
    assert notes[0].startswith("1 of 2 checks passed in ")


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
        (
            "curl \\\n  -X POST \\\n  $BASE/a \\\n  -d $'it\\'s\\t\\u00fc'\n",
            {"json": {"$.body": "it's\tü".encode().decode("latin-1")}},
        ),
        ("curl -fsSo /dev/null -w '%{http_code}' --compressed $BASE/a", {"status": 200, "json": {"$.path": "/a"}}),
        ("curl -F 'a=b c' --form-string d=@e $BASE", {"json": {"$.method": "POST"}, "body": "b c.*@e"}),
        ("curl -g $BASE/{a}[1-2]", {"json": {"$.path": "/{a}[1-2]"}}),
        ("curl -m 20 --connect-timeout 5 --no-location $BASE/redirect", {"status": 302}),
    ],
)
def test_a_request_arrives_as_written_and_its_answer_is_judged(base: str, line: str, expect: dict[str, Any]) -> None:
    outcome = ask(base, check(line, expect))
    assert outcome.ok, outcome.text


@pytest.mark.parametrize(
    ("expect", "failure"),
    [
        ({"status": 201}, "expected status 201, got 200"),
        ({"headers": {"X-Token": "^Basic"}}, "expected header X-Token to match ^Basic, got Bearer"),
        ({"body": "nowhere"}, "expected the body to match nowhere"),
        ({"json": {"$.method": "POST"}}, 'expected $.method to be "POST", got "GET"'),
        ({"within": 0.000001}, "expected an answer within 1e-06 s"),
    ],
)
def test_a_wrong_answer_says_what_was_expected_and_what_came(base: str, expect: dict[str, Any], failure: str) -> None:
    outcome = ask(base, check("curl $BASE/x", expect))
    assert not outcome.ok
    assert failure in outcome.text
    assert f"curl {base}/x" in outcome.text


def test_a_saved_value_is_used_and_masked(base: str) -> None:
    first = check("curl $BASE", {"status": 200}, {"TOKEN": {"header": "X-Token", "match": "Bearer (.+)"}}, "first")
    second = check('curl -H "Authorization: Bearer $TOKEN" $BASE', {"status": 500}, name="second")
    outcome = ask(base, first, second)
    assert outcome.record == {"first": True, "second": False}
    assert "secret-token-value" not in outcome.text
    assert "$TOKEN" in outcome.text
    assert "Bearer ***" in outcome.text


def test_a_saved_value_is_masked_as_a_body_spells_it_too(base: str) -> None:
    save = {"TOKEN": {"json": "$.headers['X-Token']"}}
    outcome = ask(base, check("""curl -H 'X-Token: tok"en' $BASE""", {"status": 500}, save))
    assert '"X-Token": "***"' in outcome.results[0].excerpt


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
def test_a_saved_value_that_would_name_a_file_is_not_sent(base: str, flag: str) -> None:
    first = check("curl $BASE/@/etc/passwd", {}, {"X": {"json": "$.path", "match": "/(.+)"}}, "first")
    outcome = ask(base, first, check(f"curl {flag} $BASE", {}, name="second"))
    assert outcome.record == {"first": True, "second": False}
    assert "would read a file" in outcome.text
    assert "root:" not in outcome.text


def test_a_check_whose_value_never_came_is_not_sent(base: str) -> None:
    first = check("curl $BASE", {}, {"TOKEN": {"header": "Nope"}}, "first")
    outcome = ask(base, first, check("curl $BASE/$TOKEN", {}, name="second"))
    assert outcome.record == {"first": False, "second": False}
    assert "not sent: no earlier check saved $TOKEN" in outcome.text


def test_a_saved_value_is_no_pattern_of_urls(base: str) -> None:
    first = check("curl -g $BASE/[1-2]", {}, {"X": {"json": "$.path", "match": "/(.+)"}}, "first")
    outcome = ask(base, first, check("curl $BASE/$X", {"json": {"$.path": "/[1-2]"}}, name="second"))
    assert outcome.ok, outcome.text


@pytest.mark.parametrize(
    ("line", "expect", "limit"),
    [("curl $BASE", {}, 2), ("curl $BASE", {"within": 3}, 6), ("curl -m 0.5 $BASE", {}, 0.5), ("curl --max-time 90 $BASE", {"within": 3}, 90)],
)  # fmt: skip
def test_an_answer_is_waited_for_as_long_as_the_line_or_the_check_says(line: str, expect: Any, limit: float) -> None:
    commands: list[Command] = []

    def run(command: Command, _: Reporter) -> Result:
        commands.append(command)
        return Result(command, 28, b"", b"")

    outcome = CurlRunner(one_by_one(run), timeout=2).run([check(line, expect)], {"BASE": "http://h"}, null_reporter())
    assert not outcome.ok
    assert f'max-time = "{limit:.1f}"' in (commands[0].stdin or b"").decode()
    assert commands[0].timeout == limit + 5


def test_a_line_that_an_earlier_version_recorded_and_this_one_refuses_fails_its_check(base: str) -> None:
    outcome = ask(base, check("curl $BASE $5", {}), check("curl $BASE", {"status": 200}, name="y"))
    assert outcome.record == {"x": False, "y": True}
    assert "not sent: $5… needs a shell" in outcome.text


def test_a_refused_connection_is_reported_in_plain_words() -> None:
    outcome = ask("http://127.0.0.1:1", check("curl $BASE", {"status": 200}))
    assert "expected an answer, got none: connection refused" in outcome.text


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=40))
def test_any_body_arrives_whole(base: str, text: str) -> None:
    line = "curl --data-raw '" + text.replace("'", "'\\''") + "' $BASE"
    outcome = ask(base, check(line, {"json": {"$.body": text.encode().decode("latin-1")}}))
    assert outcome.ok, outcome.text


def test_checks_that_use_nothing_of_each_other_are_sent_by_one_shell(base: str) -> None:
    argvs: list[tuple[str, ...]] = []

    def run(command: Command, report: Reporter) -> Result:
        argvs.append(command.argv)
        return curl(command, report)

    save = {"PATH_OF_IT": {"json": "$.path"}}
    checks = (
        check("curl $BASE/binary", {"status": 200, "body": "binary$"}, name="binary"),
        check("curl http://127.0.0.1:1", {"status": 200}, name="refused"),
        check("curl $BASE/a -d $'\\'two\\nlines\\'\\t$x'", {"json": {"$.body": "'two\nlines'\t$x"}}, save, "saves"),
        check("curl $BASE $5", {}, name="not sent"),
        check("curl $BASE$PATH_OF_IT", {"json": {"$.path": "/a"}}, {"PATH_OF_IT": {"json": "$.method"}}, "uses"),
        check("curl $BASE/$NOWHERE", {}, name="needs"),
        check("curl $BASE/$PATH_OF_IT", {"json": {"$.path": "/GET"}}, name="uses the second"),
    )
    together = ask(base, *checks, commands=by_one_shell(run))
    assert argvs == [("sh",), ("curl", "-q", "-K", "-"), ("curl", "-q", "-K", "-")]
    assert together.record == dict.fromkeys(("binary", "saves", "uses", "uses the second"), True) | dict.fromkeys(
        ("refused", "not sent", "needs"), False
    )
    assert [one.name for one in together.results] == [one.name for one in checks]
    alone = ask(base, *checks)
    assert [one.failures for one in together.results] == [one.failures for one in alone.results]


def test_where_there_is_no_shell_each_is_sent_by_itself(base: str) -> None:
    def run(command: Command, report: Reporter) -> Result:
        return (
            Result(command, 1, b"", b'exec: "sh": executable file not found in $PATH')
            if command.argv == ("sh",)
            else curl(command, report)
        )

    checks = [check("curl $BASE", {"status": 200}, name=name) for name in "ab"]
    assert ask(base, *checks, commands=by_one_shell(run)).record == {"a": True, "b": True}


def test_what_a_shell_that_was_cut_off_did_not_come_to_has_no_answer(base: str) -> None:
    def run(command: Command, report: Reporter) -> Result:
        done = curl(command, report)
        middle = done.stdout.index(b"/b")
        return Result(command, 137, done.stdout[:middle], b"connection reset by peer")

    checks = [check(f"curl $BASE/{name}", {"status": 200}, name=name) for name in "abc"]
    outcome = ask(base, *checks, commands=by_one_shell(run))
    assert outcome.record == {"a": True, "b": False, "c": False}
    assert outcome.text.count("expected an answer, got none: connection reset by peer") == 2
