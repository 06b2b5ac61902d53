"""A curl line: what a check may send, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.config.curl import parse, split_words


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("wget $BASE", "start with curl"),
        ("curl", "one URL, not 0"),
        ("curl $BASE $BASE", "one URL, not 2"),
        ("curl http://x", "must start with $BASE"),
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
        ("curl --cert c $BASE", "--cert is not supported"),
        ("curl -X", "-X needs a value"),
        ("curl $FLAG $BASE", "one URL, not 2"),
        ("curl -$FLAG $BASE", "can't contain a variable"),
    ],
)
def test_a_line_that_does_more_than_one_request_is_refused(line: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(line)
    assert fault in str(caught.value)


@given(text=st.text(max_size=80))
def test_no_line_gives_anything_but_a_value_error(text: str) -> None:
    try:
        split_words(text)
        parse(text)
    except ValueError:
        pass
