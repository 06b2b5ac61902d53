"""Shell words: those that bash makes, or a refusal that says what to write."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from slipway.config.shell_words import Word, split

VARIABLES = {"BASE": "http://h:1", "A_1": "a"}


def filled(words: list[Word]) -> list[str]:
    return ["".join(VARIABLES[text] if variable else text for variable, text in word) for word in words]


def bash(texts: list[str], folder: Path) -> list[list[str] | None]:
    """The words that bash makes of each text, all in one process; None where it finds no end of them."""
    script = """
        words() { count=$((count + 1)); found=("$@"); }
        for text; do
            count=0
            if eval "words $text" 2>/dev/null && [ $count = 1 ]
            then printf '%s\\0' ${#found[@]} "${found[@]}"
            else printf 'none\\0'
            fi
        done"""
    env = {**VARIABLES, "LC_ALL": "C.UTF-8", "HOME": "/home/ann", "PATH": "/nowhere"}
    argv = ["/bin/bash", "--norc", "-c", script, "bash", *texts]
    done = subprocess.run(argv, capture_output=True, cwd=folder, env=env, check=False, timeout=30)
    fields = done.stdout.decode(errors="surrogateescape").split("\0")[:-1]
    found: list[list[str] | None] = []
    while fields:
        count = fields.pop(0)
        found.append(None if count == "none" else fields[: int(count)])
        del fields[: int(count) if count != "none" else 0]
    return found


PIECES = st.sampled_from(
    [*"aB1/:=,.-_@%+^!~*?[]{}#$\\'\"` \t\n;é", "\\\n", "\\\n  ", "$'", "\\'", '\\"', "\\\\", "\\x41", "\\xc3\\xa9", "\\u00fc", "\\U1F600", "\\101", "\\n", "\\q", '$"', "''", '""', "'a b'", '"a b"', "$'a\\tb'", "$BASE", "${BASE}", "$A_1/", "${A_1:-x}", "$1", "..", "\u00a0"]
)  # fmt: skip


@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=30, max_size=60))
@example(
    [
        "$'\\x1\\x7f\\1\\177'",
        "a=~",
        "{a,b}",
        "a\\\n b",
        "'\\\n'",
        '"\\\n"',
        "$\\\nBASE",
        "$BA\\\nSE",
        "$BASE\\\n b",
        "$'\\777\\8\\xg\\u\\?'",
        "#",
        "a#b",
        "x={1..3}",
    ]
)
def test_words_are_those_that_bash_makes_or_refused(tmp_path: Path, texts: list[str]) -> None:
    texts = [
        text.lstrip("\n\t ") for text in texts if "`" not in text and "$(" not in text
    ]  # they would run what was generated
    theirs = bash(texts, tmp_path)
    assert len(theirs) == len(texts)
    for text, expected in zip(texts, theirs, strict=True):
        try:
            ours = split(text)
        except ValueError:
            continue
        if {name for word in ours for variable, name in word if variable} <= VARIABLES.keys():
            assert filled(ours) == expected, text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a \\\n   b \\\n\tc\n", ["a", "b", "c"]),
        ("a\\\nb", ["ab"]),
        ("$'it\\'s\\n\\u00fc\\x41\\101'", ["it's\nüAA"]),
        ("a'b'\"c\"$'d'\\ e", ["abcd e"]),
        ("'' \"\" $''", ["", "", ""]),
        ("\"$'a'\"", ["$'a'"]),
        ('"a\\nb\\$c"', ["a\\nb$c"]),
        ("'{a,b}' \"*\" \\~ {} {a} a~ $ $. 100%", ["{a,b}", "*", "~", "{}", "{a}", "a~", "$", "$.", "100%"]),
        ("$BASE/x?y=[1]&".rstrip("&"), ["http://h:1/x?y=[1]"]),
        ("a#b", ["a#b"]),
    ],
)
def test_quotes_escapes_and_continued_lines_are_read(tmp_path: Path, text: str, words: list[str]) -> None:
    assert filled(split(text)) == words
    assert bash([text], tmp_path) == [words]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${X:-y}", "${… needs a shell, and none is run; quote it with '…', or write the value itself"),
        ('"${X}${#X}"', "${… needs a shell"),
        ('"costs $5"', "$5… needs a shell"),
        ("$[1+1]", "$[… needs a shell"),
        ("{a,b}", "becomes several words in a shell; quote it"),
        ("{1..3}", "becomes several words"),
        ("x={a,b}", "becomes several words"),
        ("~/x", "~ becomes a folder in a shell; quote it"),
        ("a=~", "~ becomes a folder"),
        ("-d *", "become the names of files in a shell; quote them"),
        ("a[1]", "become the names of files"),
        ("a\nb", "a line break ends the command: end each line but the last with \\ and nothing behind it"),
        ("a \\ \n b", "a line break ends the command"),
        ("a\u00a0b", "U+00A0 looks like a space"),
        ("$'a", "unclosed '"),
        ("$'it\\'s a", "unclosed '"),
        ("a 'b", "unclosed '"),
        ('"a\\"', 'unclosed "'),
        ("a\\", "ends with a backslash"),
        ("$'\\xff'", "is not UTF-8 text"),
        ("$'\\0'", "NUL"),
        ("$'\\ud800'", "is not a character"),
        ("$'\\cA'", "\\c in $'…' is not supported: write \\xHH"),
        ("$BA\\\nSE", "$BA\\… needs a shell"),
        ("$\\\nBASE", "$\\… needs a shell"),
        ("a # b", "# needs a shell"),
    ],
)
def test_what_bash_would_expand_or_run_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        split(text)
    assert reason in str(caught.value)
