"""What curl is given, and what is made of its output."""

from __future__ import annotations

import pytest

from slipway.checks.curl import parse_answer, pasteable, quoted
from slipway.config.curl import parse


def test_a_pasteable_line_names_the_address_and_keeps_variables() -> None:
    line = parse('curl -d "$AUTH_URL" "${BASE}/$TOKEN"')
    urls = {"BASE": "http://h:1", "AUTH_URL": "http://h:2"}
    assert pasteable(line, urls) == 'curl -d "http://h:2" "http://h:1/$TOKEN"'


def test_a_nul_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")


def test_the_last_response_of_a_redirect_is_the_answer() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\nHTTP/1.1 200 OK\r\nX-A:  1 \r\n\r\n"
    output = head + b"body\n with lines" + f"\nmark 200 {len(head)} 0.25\n".encode()
    answer = parse_answer("mark", 0, output, b"")
    assert (answer.status, answer.headers, answer.body) == (200, (("X-A", "1"),), b"body\n with lines")
    assert (answer.seconds, answer.error) == (0.25, "")


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr", "error"),
    [
        (28, b"\nmark 000 0 2.0\n", b"curl: (28) ...", "timed out"),
        (3, b"", b"curl: (3) bad URL\n", "curl: (3) bad URL"),
        (99, b"", b"", "curl exited with 99"),
    ],
)
def test_where_no_answer_came_curls_exit_code_says_why(
    exit_code: int, stdout: bytes, stderr: bytes, error: str
) -> None:
    assert parse_answer("mark", exit_code, stdout, stderr).error == error
