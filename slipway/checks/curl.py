"""What curl is given for a check, on its standard input, and what its output says of the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from slipway.config.assertions.answer import Answer
from slipway.config.curl import CurlLine, refuse_file
from slipway.config.shell_words import Word

ARGV = ("curl", "-q", "-K", "-")  # everything else is in the config on standard input: it may hold tokens
EXIT_CODES = {  # curl(1), "EXIT CODES"
    5: "could not resolve the proxy",
    6: "could not resolve the host",
    7: "connection refused",
    28: "timed out",
    35: "TLS handshake failed",
    52: "empty reply",
    56: "connection broken",
    60: "untrusted certificate",
}


def config_file(line: CurlLine, values: Mapping[str, str], marker: str, timeout: float, connect_to: str = "") -> bytes:
    """The config that makes curl send the line, and print its answer so that `parse_answer` can take it apart.

    curl prints the headers, the body, then `marker` with the status, the size of the headers, and the seconds taken.
    With `connect_to` it connects elsewhere than to the line's host (curl(1), --connect-to).
    Raises ValueError where a value that is filled in would be read as the name of a file.
    """
    options = [(key, None if word is None else fill(word, values)) for key, word in line.options]
    for key, value in options:
        if value:
            refuse_file(key, value)
    rows = [
        ("silent", None),
        ("show-error", None),
        ("include", None),
        ("globoff", None),  # what is filled in may have braces
        ("proto", "=http,https"),
        ("noproxy", "*"),
        ("max-time", f"{timeout:.1f}"),
        ("write-out", f"\n{marker} %{{http_code}} %{{size_header}} %{{time_total}}\n"),
        *([("connect-to", connect_to)] if connect_to else ()),
        *options,
    ]
    return "".join(f"{key}\n" if value is None else f"{key} = {quoted(value)}\n" for key, value in rows).encode()


def fill(word: Word, values: Mapping[str, str]) -> str:
    """A word with the values of its variables."""
    return "".join(values[text] if variable else text for variable, text in word)


def quoted(value: str) -> str:
    """A value in curl's config syntax (curl(1), -K). Raises ValueError for a NUL, which no argument can hold."""
    if "\0" in value:
        raise ValueError("a NUL can't be sent")
    table = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    return '"' + "".join(table.get(char, char) for char in value) + '"'


def parse_answer(marker: str, exit_code: int, stdout: bytes, stderr: bytes) -> Answer:
    """The answer in curl's output: the headers of every response on the way, the body, and the line of `marker`."""
    error = EXIT_CODES.get(exit_code, stderr.decode(errors="replace").strip() or f"curl exited with {exit_code}")
    output, found, trailer = stdout.rpartition(f"\n{marker} ".encode())
    fields = trailer.split()
    if not found or len(fields) != 3:
        return Answer(error=error)
    status, header_size, seconds = fields[0], int(fields[1]), float(fields[2])
    if exit_code or status == b"000":
        return Answer(seconds=seconds, error=error)
    blocks = [block for block in output[:header_size].decode("latin-1").split("\r\n\r\n") if block]
    lines = blocks[-1].split("\r\n")[1:] if blocks else []
    headers = tuple((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Answer(int(status), headers, output[header_size:], seconds)


def pasteable(line: CurlLine, addresses: Mapping[str, str]) -> str:
    """The line for a person's shell: addresses filled in, saved values left as variables."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: addresses.get(found[1] or found[2], found[0]), line.text)
