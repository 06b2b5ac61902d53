"""The words of a command line as bash makes them, without running a shell: what bash would expand is refused.

The rules are those of bash(1), "QUOTING" and "EXPANSION"; a test compares the words with bash's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Part = tuple[bool, str]  # (whether it is a variable, its text or name)
Word = tuple[Part, ...]

VARIABLE = r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)(?!\\\n[A-Za-z0-9_]))"
EXPANSION = r"(?P<expansion>\$(?:[({\[0-9@*#?$!-]|[A-Za-z0-9_]*\\\n)|`)"  # or a name that goes on in the next line
UNQUOTED = re.compile(
    rf"""(?P<joined>\\\n) | \\(?P<escaped>.)
    | '(?P<single>[^']*)' | \$'(?P<ansi>(?:[^'\\]|\\.)*)' | \$?"(?P<double>(?:[^"\\]|\\.)*)"
    | {VARIABLE} | {EXPANSION}
    | (?P<unclosed>\$?['"]) | (?P<blank>[ \t]+) | (?P<newline>\n) | (?P<operator>[|;<>&()])
    | (?P<char>[A-Za-z0-9_:/.=-]+|.)""",
    re.DOTALL | re.VERBOSE,
)
DOUBLE_QUOTED = re.compile(
    rf'(?P<joined>\\\n)|\\(?P<escaped>[$`"\\])|{VARIABLE}|{EXPANSION}|(?P<char>[^$`"\\]+|.)', re.DOTALL
)
ANSI_C = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|(.))|([^\\]+)", re.DOTALL
)
ANSI_C_LETTERS = dict(zip("abeEfnrtv\\'\"?", "\a\b\33\33\f\n\r\t\v\\'\"?", strict=True))
BLANKS = " \t\n"
QUOTED = "\0"  # stands for a character that bash does not look at again


def split(text: str) -> list[Word]:
    """The words. Raises ValueError for what bash would expand or run, with what to write instead."""
    if "\0" in text:
        raise ValueError("a NUL can't be in a command line")
    words: list[Word] = []
    word = _Word()
    text = text.lstrip(BLANKS)
    for found in UNQUOTED.finditer(text):
        kind, value = str(found.lastgroup), found[str(found.lastgroup)]
        if kind in {"blank", "newline"}:
            if word.begun:
                words.append(word.finished())
                word = _Word()
            if kind == "newline" and text[found.end() :].strip(BLANKS):
                raise ValueError(
                    "a line break ends the command: end each line but the last with \\ and nothing behind it"
                )
        elif kind == "operator" or (value == "#" and kind == "char" and not word.begun):
            raise ValueError(f"{value} needs a shell, and none is run; quote it")
        elif kind == "char":
            word.add_unquoted(value)
        else:
            word.add_all(_parts(kind, value))
    return [*words, word.finished()] if word.begun else words


class _Word:
    """A word that is being read; `bare` are its characters, with QUOTED for those that bash takes as they are."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.bare = ""
        self.begun = False

    def add_unquoted(self, char: str) -> None:
        """Add a character, or several of those that mean nothing to a shell."""
        if char == "\\":
            raise ValueError("the line ends with a backslash")
        if char.isspace() and not char.isascii():
            raise ValueError(f"U+{ord(char):04X} looks like a space but is not one to a shell: type a space")
        self._add((False, char))
        self.bare += char

    def add_all(self, parts: Iterator[Part]) -> None:
        for part in parts:
            self._add(part)
            self.bare += QUOTED

    def _add(self, part: Part) -> None:
        self.begun = True
        if self.parts and not part[0] and not self.parts[-1][0]:
            part = (False, self.parts.pop()[1] + part[1])
        self.parts.append(part)

    def finished(self) -> Word:
        """The word. Raises ValueError if bash would make other words of it."""
        if re.search(r"\{.*(,|\.\.).*\}", self.bare):
            raise ValueError("{…} with a comma or .. becomes several words in a shell; quote it")
        if re.search(r"(^|[=:])~", self.bare):
            raise ValueError("~ becomes a folder in a shell; quote it")
        # a word that begins with a variable is a URL or a value: no file matches it
        if re.search(r"[*?]|\[.*\]", self.bare) and not self.parts[0][0]:
            raise ValueError("*, ? and […] become the names of files in a shell; quote them")
        return tuple(part for part in self.parts if part[1]) or ((False, ""),)


def _parts(kind: str, value: str) -> Iterator[Part]:
    """What a token adds to its word; a quote of nothing begins one too."""
    if kind == "expansion":
        what = "a backquote" if value == "`" else f"{value.rstrip()}…"
        raise ValueError(f"{what} needs a shell, and none is run; quote it with '…', or write the value itself")
    if kind == "unclosed":
        raise ValueError(f"unclosed {value[-1]}")
    if kind in {"braced", "name"}:
        yield True, value
    elif kind == "ansi":
        yield False, ansi_c(value)
    elif kind == "double":
        yield False, ""
        for found in DOUBLE_QUOTED.finditer(value):
            yield from _parts(str(found.lastgroup), found[str(found.lastgroup)])
    elif kind != "joined":  # single, or a character
        yield False, value


def ansi_c(text: str) -> str:
    """What is between `$'` and `'`, with its escapes replaced. Raises ValueError if that is no text."""
    if "\1" in text:  # which bash doubles there
        raise ValueError("$'…' can't hold U+0001 itself: write \\x01")
    raw = b"".join(_ansi_c_bytes(found) for found in ANSI_C.finditer(text))
    if b"\0" in raw:
        raise ValueError("a NUL can't be in a command line")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"$'{text}' is not UTF-8 text") from None


def _ansi_c_bytes(found: re.Match[str]) -> bytes:
    octal, byte, short, long, letter, literal = found.groups()
    if octal or byte:
        return bytes([int(octal, 8) & 0xFF if octal else int(byte, 16)])
    if short or long:
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"{found[0]} is not a character")
        return chr(code).encode()
    if letter and (letter == "c" or found.string.startswith("x{", found.start() + 1)):
        raise ValueError(rf"\{letter} in $'…' is not supported: write \xHH")
    return (literal or ANSI_C_LETTERS.get(letter, f"\\{letter}")).encode()
