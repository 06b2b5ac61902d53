"""A `curl` line as a person would paste it: split without a shell, its flags checked, turned into curl's own config."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# flag -> curl's config key; those in TAKES want a value
FLAGS = {
    "-i": "include", "--include": "include", "-s": "silent", "--silent": "silent", "-S": "show-error",
    "--show-error": "show-error", "-v": "", "--verbose": "", "-f": "", "--fail": "", "-G": "get", "--get": "get",
    "-I": "head", "--head": "head", "-L": "location", "--location": "location", "--compressed": "compressed",
    "--http1.1": "http1.1", "--http2": "http2", "--path-as-is": "path-as-is", "-g": "globoff", "--globoff": "globoff",
    "-X": "request", "--request": "request", "-H": "header", "--header": "header", "-d": "data", "--data": "data",
    "--data-raw": "data-raw", "--data-binary": "data-binary", "--data-ascii": "data", "--json": "json",
    "--data-urlencode": "data-urlencode", "--url-query": "url-query", "-u": "user", "--user": "user",
    "-A": "user-agent", "--user-agent": "user-agent", "-e": "referer", "--referer": "referer", "-b": "cookie",
    "--cookie": "cookie", "--max-redirs": "max-redirs", "--url": "url",
}  # fmt: skip
ADDRESS = re.compile(r"\$([A-Z0-9_]+_URL|BASE)")
TAKES = frozenset(
    [
        "request",
        "header",
        "data",
        "data-raw",
        "data-binary",
        "json",
        "data-urlencode",
        "url-query",
        "user",
        "user-agent",
        "referer",
        "cookie",
        "max-redirs",
        "url",
    ]
)
LITERAL = {"data": "data-raw", "data-binary": "data-raw"}  # the same, but for an @, which names no file
FILES = frozenset({*LITERAL, "json", "header", "url"})  # where a leading @ names a file
CODED = frozenset({"data-urlencode", "url-query"})  # where it may also stand behind a name: `name@file`
REFUSED = {
    **dict.fromkeys(("-o", "-O", "-c"), "it writes a file"),
    **dict.fromkeys(("-T", "-F", "-E", "-n"), "it reads a file"),
    **dict.fromkeys(("-K", "-q"), "it chooses configuration"),
    **dict.fromkeys(("-D", "-w", "-N", "-#"), "it chooses output"),
    "-x": "it chooses a proxy",
    "-k": "it turns certificate checks off",
    "-m": "`within` says how long",
}

Part = tuple[bool, str]  # (is a variable, its text or name)
Word = tuple[Part, ...]


@dataclass(frozen=True)
class Line:
    """A parsed line. `options` are curl config keys with their values, in order; a flag without one has None."""

    text: str
    options: tuple[tuple[str, Word | None], ...]

    @property
    def variables(self) -> frozenset[str]:
        """The names behind `$` that the line uses."""
        return frozenset(text for _, word in self.options if word for variable, text in word if variable)


def parse(text: str) -> Line:
    """Check a line. Raises ValueError with what is wrong with it."""
    words = split(text)
    if not words or _text(words[0]) != "curl":
        raise ValueError("the line must begin with curl")
    options: list[tuple[str, Word | None]] = []
    rest = words[1:]
    while rest:
        word = rest.pop(0)
        flag = _text(word[:1])
        if not flag.startswith("-"):
            options.append(("url", word))
            continue
        if not flag.startswith("--") and len(flag) > 2:  # -iX is -i -X, -XPOST is -X POST
            short, tail = flag[:2], flag[2:]
            value: Word = ((False, tail), *word[1:])
            if FLAGS.get(short) in TAKES:
                rest.insert(0, value)
            else:
                rest.insert(0, ((False, f"-{tail}"), *word[1:]))
            flag, word = short, ((False, short),)
        key = _key(flag, word)
        if key in TAKES:
            if not rest:
                raise ValueError(f"{flag} wants a value")
            value = rest.pop(0)
            _is_no_file(key, _text(value))
            options.append((LITERAL.get(key, key), value))
        elif key:
            options.append((key, None))
    urls = [value for key, value in options if key == "url"]
    if len(urls) != 1 or urls[0] is None:
        raise ValueError(f"the line must ask one URL, not {len(urls)}")
    if not ADDRESS.fullmatch(_text(urls[0][:1])):
        raise ValueError('the URL must begin with $BASE, as in "$BASE/health", or a need\'s, as in "$AUTH_URL/tokens"')
    return Line(text, tuple(options))


def _is_no_file(key: str, value: str) -> None:
    """Raise ValueError for a value that curl would take for a file's name (curl(1), at each of these options)."""
    coded = key in CODED and "=" not in value and "@" in value and not (key == "url-query" and value[0] == "+")
    if coded or (key in FILES and value.startswith("@")) or (key == "cookie" and "=" not in value):
        hint = "; `=` before the value says that it is none" if key in CODED else ""
        raise ValueError(f"--{key} {value} would read a file; write the value itself{hint}")


def _key(flag: str, word: Word) -> str:
    if len(word) > 1:
        raise ValueError(f"{flag}: a flag can't be made of a variable")
    if flag in FLAGS:
        return FLAGS[flag]
    if flag in REFUSED:
        raise ValueError(f"curl's {flag} is refused: {REFUSED[flag]}")
    raise ValueError(f"curl's {flag} is not on the list of flags for checks")


def split(text: str) -> list[Word]:
    """A shell's words, its quotes and `$NAME` understood, nothing run. Raises ValueError for what needs a shell."""
    words: list[Word] = []
    parts: list[Part] = []
    inside = False  # within a word
    quote = ""
    position = 0

    def add(piece: str, *, variable: bool = False) -> None:
        if not variable and parts and not parts[-1][0]:
            parts[-1] = (False, parts[-1][1] + piece)
        else:
            parts.append((variable, piece))

    while position < len(text):
        char = text[position]
        position += 1
        if quote == "'":
            if char == "'":
                quote = ""
            else:
                add(char)
        elif char == "\\":
            if position >= len(text):
                raise ValueError("the line ends with a backslash")
            after = text[position]
            position += 1
            inside = True
            if after != "\n":
                add(after if not quote or after in '"\\$`' else f"\\{after}")
        elif char == "$":
            inside = True
            found = re.compile(r"\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*)").match(text, position)
            if found:
                add(found[1] or found[2], variable=True)
                position = found.end()
            elif text[position : position + 1] == "(":
                raise ValueError("$(…) needs a shell, and none is used")
            else:
                add("$")
        elif char == "`":
            raise ValueError("a backquote needs a shell, and none is used")
        elif char == '"' or (char == "'" and not quote):
            quote = "" if quote else char
            inside = True
            if not parts:
                add("")
        elif quote:
            add(char)
        elif char.isspace():
            if inside:
                words.append(tuple(part for part in parts if part[1]) or ((False, ""),))
            parts, inside = [], False
        elif char in "|;<>&()" or (char == "#" and not inside):
            raise ValueError(f"{char} needs a shell, and none is used; quote it")
        else:
            inside = True
            add(char)
    if quote:
        raise ValueError(f"a {quote} is not closed")
    if inside:
        words.append(tuple(part for part in parts if part[1]) or ((False, ""),))
    return words


def _text(word: Word | None) -> str:
    return "".join(f"${text}" if variable else text for variable, text in word or ())


def fill(word: Word, values: Mapping[str, str]) -> str:
    """A word with its variables put in."""
    return "".join(values[text] if variable else text for variable, text in word)


def config(line: Line, values: Mapping[str, str], marker: str, seconds: float) -> bytes:
    """What curl reads on its standard input (`curl -q -K -`): the line, and how to tell its answer apart.

    The answer is headers, body, then `marker` with status, size of the headers, and time; see `check.answer`.
    Raises ValueError where a value that was put in makes a file's name of it.
    """
    options = [(key, None if word is None else fill(word, values)) for key, word in line.options]
    for key, value in options:
        _is_no_file(key, value or "=")
    rows = [
        ("silent", None),
        ("show-error", None),
        ("include", None),
        ("proto", "=http,https"),
        ("noproxy", "*"),
        ("max-time", f"{seconds:.1f}"),
        ("write-out", f"\n{marker} %{{http_code}} %{{size_header}} %{{time_total}}\n"),
        *options,
    ]
    return "".join(f"{key}\n" if value is None else f"{key} = {quoted(value)}\n" for key, value in rows).encode()


def quoted(value: str) -> str:
    """A value in curl's config syntax (curl(1), -K). Raises ValueError for a NUL, which no argument can hold."""
    if "\0" in value:
        raise ValueError("a NUL can't be sent")
    table = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    return '"' + "".join(table.get(char, char) for char in value) + '"'


def pasteable(line: Line, addresses: Mapping[str, str]) -> str:
    """The line for a person's shell: addresses put in, saved values left as variables."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: addresses.get(found[1] or found[2], found[0]), line.text)


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret value replaced."""
    for secret in sorted({s for s in secrets if len(s) > 3}, key=len, reverse=True):
        text = text.replace(secret, "***").replace(shlex.quote(secret), "***")
    return text
