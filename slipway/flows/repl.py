"""A service's JVM as `dev` speaks to it: the options that it starts with, and the evaluation of sources in it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from slipway.engine.cancellation import Cancel
from slipway.errors import Problem

SERVER = Path(__file__).with_suffix(".clj")
SERVER_PATH = "slipway/repl.clj"  # on the class path
ANSWERS_WITHIN = 20.0  # seconds for the first answer of a service that is ready
EVALUATED_WITHIN = 600.0  # seconds


@dataclass(frozen=True)
class Ports:
    """Ports in the container: Clojure's socket REPL for people, the one of `repl.clj`, and nREPL's.

    `address` is the one that they listen on.
    """

    repl: int
    tool: int
    nrepl: int
    address: str

    @classmethod
    def beside(cls, port: int, address: str) -> Ports:
        """Three ports, none of which is the service's own."""
        first = 7700 if port < 7700 or port > 7702 else 7710
        return cls(first, first + 1, first + 2, address)


def java_options(folder: str, ports: Ports) -> str:
    """The value of JAVA_TOOL_OPTIONS that puts a folder first on the class path and opens the REPLs.

    Clojure loads a source in place of a class that is older: so the code is that of the folder, and none of it is
    linked directly, whatever the jar was compiled with.
    """
    servers = {
        "slipway": (ports.repl, "clojure.core.server/io-prepl"),
        "slipway-dev": (ports.tool, "slipway.repl/serve"),
    }
    properties = (
        f"'-Dclojure.server.{name}={{:port {port} :accept {accept} :address \"{ports.address}\"}}'"
        for name, (port, accept) in servers.items()
    )
    return " ".join((f"-Xbootclasspath/a:{folder}", *properties))


@dataclass(frozen=True)
class Fault:
    """What Clojure says of a source: its path on the class path, where in it (0: not known), and what is wrong."""

    file: str
    line: int
    column: int
    message: str


@dataclass(frozen=True)
class Evaluated:
    """The namespaces that were evaluated, in order, what they printed, and at a fault the paths that are left."""

    namespaces: tuple[str, ...]
    printed: str
    fault: Fault | None = None
    left: tuple[str, ...] = ()


class Repl:
    """A connection to `repl.clj` at a port of this machine."""

    def __init__(self, stream: socket.socket, cancel: Cancel) -> None:
        self._stream, self._cancel = stream, cancel
        self._lines: TextIO = stream.makefile("r", encoding="utf-8")

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._stream.close()

    def start_nrepl(self, ports: Ports) -> bool:
        """Have nREPL listen on its port of the container, if the service has it on its class path."""
        asked = f"{{:nrepl {ports.nrepl} :address {_text(ports.address)}}}"
        return bool(self._ask(asked, ANSWERS_WITHIN).get("nrepl"))

    def evaluate(self, sources: Mapping[str, str], deleted: Iterable[str], paths: Collection[str]) -> Evaluated:
        """Write sources (texts by path), remove deleted ones, and evaluate those at `paths` in dependency order."""
        written = " ".join(f"[{_text(path)} {_text(text)}]" for path, text in sources.items())
        removed, wanted = (" ".join(map(_text, names)) for names in (deleted, paths))
        answer = self._ask(f"{{:write [{written}] :delete [{removed}] :paths [{wanted}]}}")
        error = answer.get("error")
        fault = (
            Fault(error["file"] or "", error["line"] or 0, error["column"] or 0, error["message"]) if error else None
        )
        left = tuple(answer.get("left") or (paths if fault else ()))
        return Evaluated(tuple(answer.get("evaluated") or ()), answer.get("out") or "", fault, left)

    def _ask(self, request: str, seconds: float = EVALUATED_WITHIN) -> dict[str, Any]:
        unregister = self._cancel.on_request(self._hang_up)
        self._stream.settimeout(seconds)
        try:
            self._stream.sendall(f"{request}\n".encode())
            answer = json.loads(self._lines.readline())
        except (OSError, ValueError) as error:
            self._cancel.check()
            raise Problem("the service's JVM does not answer any more", details=str(error)) from error
        finally:
            unregister()
        return dict(answer)

    def _hang_up(self) -> None:
        self._stream.shutdown(socket.SHUT_RDWR)


def connect(service: str, port: int, ports: Ports, cancel: Cancel) -> tuple[Repl, bool]:
    """A service's REPL at a port of this machine, and whether nREPL listens too. Raises Problem if none answers."""
    until = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            repl = Repl(socket.create_connection(("127.0.0.1", port), timeout=ANSWERS_WITHIN), cancel)
        except OSError as error:
            failure: Exception = error
        else:
            try:
                return repl, repl.start_nrepl(ports)
            except Problem as problem:
                repl.close()
                failure = problem
        if time.monotonic() > until:
            raise _no_clojure(service) from failure
        cancel.wait(0.2)


def _no_clojure(service: str) -> Problem:
    hint = "dev is for services on a JVM with Clojure 1.10 or newer; others are deployed after each save"
    return Problem(f"{service}: no REPL of Clojure answers in its container", hint=hint)


def _text(value: str) -> str:
    """A text as Clojure reads it: what JSON escapes in ASCII, Clojure reads in the same way."""
    return json.dumps(value)
