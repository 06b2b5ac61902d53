"""A `curl` line as a person would paste it: split into words without a shell, and its flags checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

# flag -> curl's config key; those in WITH_VALUE take a value
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
WITH_VALUE = frozenset(
    {"request", "header", "data", "data-raw", "data-binary", "json", "data-urlencode", "url-query", "user",
     "user-agent", "referer", "cookie", "max-redirs", "url"}
)  # fmt: skip
LITERAL = {"data": "data-raw", "data-binary": "data-raw"}  # the same, but @ is an ordinary character
AT_FILE = frozenset({*LITERAL, "json", "header", "url"})  # @file reads a file
NAME_AT_FILE = frozenset({"data-urlencode", "url-query"})  # and name@file does too
REFUSED = {
    **dict.fromkeys(("-o", "-O", "-c"), "it writes a file"),
    **dict.fromkeys(("-T", "-F", "-E", "-n"), "it reads a file"),
    **dict.fromkeys(("-K", "-q"), "it changes the configuration"),
    **dict.fromkeys(("-D", "-w", "-N", "-#"), "it changes the output"),
    "-x": "it sets a proxy",
    "-k": "it turns certificate verification off",
    "-m": "use `within`",
}

Part = tuple[bool, str]  # (whether it is a variable, its text or name)
Word = tuple[Part, ...]


@dataclass(frozen=True)
class CurlLine:
    """A parsed line. `options` are curl config keys with their values, in order; None for a flag without a value."""

    text: str
    options: tuple[tuple[str, Word | None], ...]

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables that the line uses."""
        return frozenset(text for _, word in self.options if word for variable, text in word if variable)


def parse(text: str) -> CurlLine:
    """Parse a line. Raises ValueError saying what is wrong with it."""
    words = split_words(text)
    if not words or _text(words[0]) != "curl":
        raise ValueError("the line must start with curl")
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
            if FLAGS.get(short) in WITH_VALUE:
                rest.insert(0, value)
            else:
                rest.insert(0, ((False, f"-{tail}"), *word[1:]))
            flag, word = short, ((False, short),)
        key = _key(flag, word)
        if key in WITH_VALUE:
            if not rest:
                raise ValueError(f"{flag} needs a value")
            value = rest.pop(0)
            refuse_file(key, _text(value))
            options.append((LITERAL.get(key, key), value))
        elif key:
            options.append((key, None))
    urls = [value for key, value in options if key == "url"]
    if len(urls) != 1 or urls[0] is None:
        raise ValueError(f"the line must have one URL, not {len(urls)}")
    if not ADDRESS.fullmatch(_text(urls[0][:1])):
        raise ValueError(
            'the URL must start with $BASE, as in "$BASE/health", or that of a need, as in "$AUTH_URL/tokens"'
        )
    return CurlLine(text, tuple(options))


def refuse_file(key: str, value: str) -> None:
    """Raise ValueError for a value that curl would read as the name of a file (curl(1), at each of these options)."""
    encoded = key in NAME_AT_FILE and "=" not in value and "@" in value and not (key == "url-query" and value[0] == "+")
    if encoded or (key in AT_FILE and value.startswith("@")) or (key == "cookie" and "=" not in value):
        hint = "; with `=` before it, it is not a file name" if key in NAME_AT_FILE else ""
        raise ValueError(f"--{key} {value} would read a file; write the value itself{hint}")


def _key(flag: str, word: Word) -> str:
    if len(word) > 1:
        raise ValueError(f"{flag}: a flag can't contain a variable")
    if flag in FLAGS:
        return FLAGS[flag]
    if flag in REFUSED:
        raise ValueError(f"curl's {flag} is not allowed in a check: {REFUSED[flag]}")
    raise ValueError(f"curl's {flag} is not supported in a check")


def split_words(text: str) -> list[Word]:
    """The words as a POSIX shell splits them, with its quotes and `$NAME`. Raises ValueError for what needs a shell."""
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
                raise ValueError("$(…) needs a shell, and checks run without one")
            else:
                add("$")
        elif char == "`":
            raise ValueError("a backquote needs a shell, and checks run without one")
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
            raise ValueError(f"{char} needs a shell, and checks run without one; quote it")
        else:
            inside = True
            add(char)
    if quote:
        raise ValueError(f"unclosed {quote}")
    if inside:
        words.append(tuple(part for part in parts if part[1]) or ((False, ""),))
    return words


def _text(word: Word | None) -> str:
    return "".join(f"${text}" if variable else text for variable, text in word or ())
