"""A curl line: what a check may send, and what is refused."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.config import curl_options
from slipway.config.curl import parse


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("wget $BASE", "start with curl"),
        ("curl", "one URL, not 0"),
        ("curl $BASE $BASE", "one URL, not 2"),
        ("curl -H “Accept: text/html” $BASE", "one URL, not 2; a shell treats curly quotes as letters"),
        ("curl http://x", "must start with $BASE"),
        ("curl '$BASE/x'", "in '…' it stays $BASE"),
        ("curl '$BASE'", "in '…' it stays $BASE"),
        ("curl 'x", "unclosed '"),
        ("curl $BASE | sh", "needs a shell"),
        ("curl $BASE; ls", "needs a shell"),
        ("curl $(ls) $BASE", "needs a shell"),
        ("curl `ls` $BASE", "needs a shell"),
        ("curl $BASE > f", "needs a shell"),
        ("curl -o f $BASE", "-o is not allowed in a check: it writes a file"),
        ("curl -sof $BASE", "-o is not allowed"),
        ("curl -K f $BASE", "-K is not allowed"),
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
        ("curl --cert c $BASE", "--cert is not allowed in a check: it reads a file"),
        ("curl --nonsense $BASE", "--nonsense is not supported"),
        ("curl --data=x $BASE", "--data=x is not supported in a check: write --data x"),
        ("curl -k $BASE", "-k is not allowed in a check: services are called over HTTP without TLS, so leave it out"),
        ("curl --insecure $BASE", "--insecure is not allowed"),
        ("curl --retry 3 $BASE", "--retry is not allowed in a check: it is sent once, when the service is ready"),
        ("curl -c jar $BASE", "`save` keeps what a later check needs"),
        ("curl $BASE --next $BASE", "--next is not allowed in a check: a check is one request"),
        ("curl -m 5s $BASE", "-m needs a number, not 5s"),
        ("curl --max-redirs 1M $BASE", "--max-redirs needs a number, not 1M"),
        ("curl -u ann $BASE", "curl would ask for the password; write ann:PASSWORD"),
        ("curl -F file=@x $BASE", "would read a file"),
        ("curl -F 'a=<x' $BASE", "would read a file"),
        ("curl -F 'a=b;type=x; headers=@f' $BASE", "would read a file"),
        ("curl -s$X $BASE", "can't contain a variable"),
        ('curl "$BASE/{a,b}"', "curl treats { in a URL as a pattern: add -g, or write %7B"),
        ('curl "$BASE/[1-3]"', "curl treats [ in a URL"),
        ("curl -X", "-X needs a value"),
        ("curl $FLAG $BASE", "one URL, not 2"),
        ("curl -$FLAG $BASE", "can't contain a variable"),
    ],
)
def test_a_line_that_does_more_than_one_request_is_refused(line: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(line)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "flags",
    [
        "-fsSL", "-sS -f --fail-with-body", "-s -o /dev/null -w '%{http_code}'", "-so /dev/null", "-v -i -# -N --no-progress-meter",
        "--no-silent", "-w@format",
    ],
)  # fmt: skip
def test_flags_about_the_output_have_no_effect(flags: str) -> None:
    sent = [key for key, _ in parse(f"curl {flags} $BASE").options]
    assert [key for key in sent if key != "location"] == ["url"]


@pytest.mark.parametrize(("flags", "limit"), [("-m 5", 5), ("-m5", 5), ("--max-time 0.5", 0.5), ("-sm 7", 7), ("-m 0", None), ("", None)])  # fmt: skip
def test_max_time_limits_how_long_an_answer_is_waited_for(flags: str, limit: float | None) -> None:
    line = parse(f"curl {flags} $BASE")
    assert line.max_time == limit
    assert [key for key, _ in line.options] == ["url"]


@pytest.mark.parametrize(
    "line",
    [
        # Chrome, Firefox, Safari, Postman, Swagger UI, as they copy a request
        "curl \"$BASE/x\" \\\n  -H 'accept: */*' \\\n  -H 'accept-language: en' \\\n  --data-raw $'{\"a\":\"it\\'s\"}' \\\n  --compressed",
        "curl \"$BASE/x\" --compressed -X POST -H 'User-Agent: x (X11; y)' -H 'Priority: u=0' --data-raw '{\"a\":[1]}'",
        "curl \"$BASE/x\" \\\n-X 'GET' \\\n-H 'Cookie: a=b; c=d' \\\n-H 'Sec-Fetch-Site: none'",
        "curl --location --request POST \"$BASE/x\" \\\n--header 'Content-Type: application/json' \\\n--data '{\n  \"a\": 1\n}'\n",
        "curl -X 'POST' \\\n  \"$BASE/pets?limit=1\" \\\n  -H 'accept: application/json' \\\n  -d ''",
        "curl --form 'a=b;type=text/plain' --form-string 'c=@d' $BASE/up --connect-timeout 2 --no-location",
        'curl -g "$BASE/{a}[1]"',
        "curl $BASE/items?x=1",
    ],
)
def test_lines_as_people_copy_them_are_read(line: str) -> None:
    assert parse(line).variables == {"BASE"}


def test_every_option_of_the_real_curl_is_decided_with_its_kind() -> None:
    help_text = subprocess.run(["curl", "--help", "all"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^ (?:-., |    )--(\S+)( [<\[])?", help_text, re.MULTILINE))
    accepted = curl_options.SWITCHES | curl_options.WITHOUT_EFFECT
    valued = curl_options.TAKES_VALUE - {"output"}
    assert {name for name in found if name not in accepted | valued | curl_options.REFUSED.keys()} == set()
    assert {name for name in accepted if found.get(name)} == set()
    assert {name for name in valued if name in found and not found[name]} == set()
    short = re.findall(r"^ -(\S), --(\S+)", help_text, re.MULTILINE)
    assert {letter: name for letter, name in short if curl_options.SHORT.get(letter) != name} == {}


@given(text=st.text(max_size=80))
def test_no_line_gives_anything_but_a_value_error(text: str) -> None:
    with suppress(ValueError):
        parse(text)
