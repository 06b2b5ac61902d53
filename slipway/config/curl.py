"""A `curl` line as a person would paste it: its options, which are checked, and what it sends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.config import curl_options, shell_words
from slipway.config.shell_words import Word

ADDRESS = re.compile(r"[A-Z0-9_]+_URL|BASE")
LITERAL = {"data": "data-raw", "data-ascii": "data-raw", "data-binary": "data-raw"}  # the same, but @ is a character
AT_FILE = frozenset({*LITERAL, "json", "header", "url"})  # @file reads a file
NAME_AT_FILE = frozenset({"data-urlencode", "url-query"})  # and name@file does too
CURLY = "\u201c\u201d\u2018\u2019"  # quotes of a word processor
SECONDS = r"[0-9]+(\.[0-9]+)?"
NUMBERS = {
    **dict.fromkeys(("connect-timeout", "expect100-timeout", "max-time"), SECONDS),
    "max-filesize": "[0-9]+[kKmMgGtTpP]?",
    "max-redirs": "-1|[0-9]+",
}


@dataclass(frozen=True)
class CurlLine:
    """A parsed line. `options` are curl config keys with their values, in order; None for a flag without a value.

    `max_time` is how many seconds its answer is waited for, where the line says so.
    """

    text: str
    options: tuple[tuple[str, Word | None], ...]
    max_time: float | None = None

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables that the line uses."""
        return frozenset(text for _, word in self.options if word for variable, text in word if variable)


def parse(text: str) -> CurlLine:
    """Parse a line. Raises ValueError saying what is wrong with it."""
    words = shell_words.split(text)
    if not words or _text(words[0]) != "curl":
        raise ValueError("the line must start with curl")
    options: list[tuple[str, Word | None]] = []
    max_time = None
    rest = words[1:]
    while rest:
        word = rest.pop(0)
        if not _text(word[:1]).startswith("-"):
            options.append(("url", word))
            continue
        flag, attached = _split_flag(word)
        name = _name(flag)
        if name not in curl_options.TAKES_VALUE:
            if attached and attached[0][0]:
                raise ValueError(f"{flag}: a flag can't contain a variable")
            if attached:
                rest.insert(0, ((False, f"-{attached[0][1]}"), *attached[1:]))
            if name:
                options.append((name, None))
            continue
        if not attached and not rest:
            raise ValueError(f"{flag} needs a value")
        value = attached or rest.pop(0)
        _check_value(flag, name, value)
        if name == "max-time":
            max_time = float(_text(value)) or None
        elif name in curl_options.WITH_VALUE:
            options.append((LITERAL.get(name, name), value))
    _check_url([value for key, value in options if key == "url"], globbing=("globoff", None) not in options)
    return CurlLine(text, tuple(options), max_time)


def _split_flag(word: Word) -> tuple[str, Word]:
    """A flag, and what follows a short one in the same word: -XPOST is -X POST, and -iX is -i -X."""
    first = word[0][1]
    if len(word) > 1 and (first == "-" or first.startswith("--")):
        raise ValueError(f"{first}: a flag can't contain a variable")
    if first.startswith("--"):
        return first, ()
    return first[:2], (*([(False, first[2:])] if first[2:] else []), *word[1:])


def _name(flag: str) -> str:
    """The long name of a flag that is sent, without its dashes; empty for one without effect here."""
    name = flag[2:] if flag.startswith("--") else curl_options.SHORT.get(flag[1:], "")
    positive = name.removeprefix("no-")
    if name in curl_options.WITHOUT_EFFECT or positive in curl_options.WITHOUT_EFFECT:
        return ""
    if name in curl_options.SWITCHES or positive in curl_options.SWITCHES or name in curl_options.TAKES_VALUE:
        return name
    if name in curl_options.REFUSED:
        raise ValueError(f"curl's {flag} is not allowed in a check: {curl_options.REFUSED[name]}")
    option, equals, value = flag.partition("=")
    hint = f": write {option} {value}" if equals and flag.startswith("--") else ""
    raise ValueError(f"curl's {flag} is not supported in a check{hint}")


def _check_value(flag: str, name: str, value: Word) -> None:
    text = _text(value)
    if name in NUMBERS and not re.fullmatch(NUMBERS[name], text):
        raise ValueError(f"{flag} needs a number, not {text}")
    if name == "output" and text not in {"/dev/null", "-"}:
        raise ValueError(f"curl's {flag} is not allowed in a check: {curl_options.REFUSED[name]}")
    if name == "user" and text and ":" not in text and not any(variable for variable, _ in value):
        raise ValueError(f"{flag} {text}: curl would ask for the password; write {text}:PASSWORD")
    if name != "cookie" or not any(variable for variable, _ in value):  # else judged when it is filled in
        refuse_file(name, text)


def _check_url(urls: list[Word | None], *, globbing: bool) -> None:
    if len(urls) != 1 or urls[0] is None:
        curly = any(quote in part for url in urls for _, part in url or () for quote in CURLY)
        hint = "; a shell treats curly quotes as letters: use straight quotes" if curly else ""
        raise ValueError(f"the line must have one URL, not {len(urls)}{hint}")
    variable, start = urls[0][0]
    if not (variable and ADDRESS.fullmatch(start)):
        quoted = "; in '…' it stays $BASE" if start.startswith("$BASE") else ""
        raise ValueError(
            'the URL must start with $BASE, as in "$BASE/health", or the URL of a service in needs, as in '
            f'"$AUTH_URL/tokens"{quoted}'
        )
    literal = "".join(text for is_variable, text in urls[0] if not is_variable)
    if globbing and (found := re.search(r"[][{}]", literal)):
        raise ValueError(f"curl treats {found[0]} in a URL as a pattern: add -g, or write %{ord(found[0]):02X}")


def refuse_file(key: str, value: str) -> None:
    """Raise ValueError for a value that curl would read as the name of a file (curl(1), at each of these options)."""
    if key == "form" and (
        re.search(r";\s*headers\s*=", value, re.IGNORECASE) or value.partition("=")[2].startswith(("@", "<"))
    ):
        raise ValueError(f"--form {value} would read a file; --form-string sends the value as it is")
    encoded = key in NAME_AT_FILE and "=" not in value and "@" in value and not (key == "url-query" and value[0] == "+")
    if encoded or (key in AT_FILE and value.startswith("@")) or (key == "cookie" and value and "=" not in value):
        hint = "; with `=` before it, it is not a file name" if key in NAME_AT_FILE else ""
        raise ValueError(f"--{key} {value} would read a file; write the value itself{hint}")


def _text(word: Word | None) -> str:
    return "".join(f"${text}" if variable else text for variable, text in word or ())
