"""What `dev` says to a service's JVM, and what it makes of the answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, Problem
from slipway.flows import repl
from slipway.flows.repl import Evaluated, Fault, Ports, connect, java_options

PORTS = Ports(7700, 7701, 7702, "127.0.0.1")


@contextmanager
def answering(answers: Sequence[object], *, silent: bool = False) -> Iterator[tuple[int, list[str]]]:
    """A server that answers each line with the next answer, then hangs up: its port, and the lines that came.

    A `silent` one does not hang up.
    """
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as stream, stream.makefile("rw", encoding="utf-8") as lines:
                for answer in answers:
                    asked.append(lines.readline())
                    lines.write(f"{json.dumps(answer)}\n")
                    lines.flush()
                lines.readline()
                if silent:
                    lines.readline()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], asked


def test_ports_never_meet_the_service_s_own() -> None:
    for port in (8080, 7700, 7701, 7702):
        ports = Ports.beside(port, "127.0.0.1")
        assert len({port, ports.repl, ports.tool, ports.nrepl}) == 4


def test_a_jvm_gets_the_folder_and_both_servers() -> None:
    options = java_options("/slipway/sources", PORTS)
    assert options.startswith("-Xbootclasspath/a:/slipway/sources '-Dclojure.server.slipway={:port 7700 ")
    assert ":accept clojure.core.server/io-prepl" in options
    assert ":accept slipway.repl/serve" in options


def test_sources_are_sent_as_clojure_reads_them_and_answers_are_taken_apart() -> None:
    fault = {"file": "a.clj", "line": 3, "column": None, "message": "no"}
    answers = [
        {"nrepl": True},
        {"evaluated": ["a"], "out": "x\n"},
        {"evaluated": [], "error": fault, "left": ["a.clj"]},
    ]
    with answering(answers) as (port, asked):
        found, nrepl = connect("shop", port, PORTS, Cancel())
        assert nrepl
        assert found.evaluate({"a.clj": '(ns a)\n"é"'}, ["b.clj"], ["a.clj"]) == Evaluated(("a",), "x\n")
        assert found.evaluate({}, [], ["a.clj"]) == Evaluated((), "", Fault("a.clj", 3, 0, "no"), ("a.clj",))
        found.close()
    first = r'{:write [["a.clj" "(ns a)\n\"\u00e9\""]] :delete ["b.clj"] :paths ["a.clj"]}'
    assert asked == ['{:nrepl 7702 :address "127.0.0.1"}\n', f"{first}\n", '{:write [] :delete [] :paths ["a.clj"]}\n']


def test_a_jvm_that_is_gone_is_a_problem_and_one_that_answers_too_late_can_be_interrupted() -> None:
    with answering([{"nrepl": False}]) as (port, _):
        found, _ = connect("shop", port, PORTS, Cancel())
        with pytest.raises(Problem, match="does not answer any more"):
            found.evaluate({}, [], [])
    cancel = Cancel()
    with answering([{"nrepl": False}], silent=True) as (port, _):
        found, _ = connect("shop", port, PORTS, cancel)
        threading.Timer(0.2, cancel.request).start()
        with pytest.raises(Cancelled):
            found.evaluate({}, [], [])
        found.close()


def closing(server: socket.socket) -> None:
    """Accept and close, as docker-proxy does where nothing listens in the container."""
    while True:
        server.accept()[0].close()


def saying_html(server: socket.socket) -> None:
    with server.accept()[0] as stream:
        stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    closing(server)


@pytest.mark.parametrize("serve", [closing, saying_html])
def test_what_is_no_clojure_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[socket.socket], None]
) -> None:
    monkeypatch.setattr(repl, "ANSWERS_WITHIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_until_closed, args=(serve, server), daemon=True).start()
        with pytest.raises(Problem, match="shop: no REPL of Clojure answers") as failed:
            connect("shop", server.getsockname()[1], PORTS, Cancel())
    assert "Clojure 1.10" in failed.value.hint


def _until_closed(serve: Callable[[socket.socket], None], server: socket.socket) -> None:
    try:
        serve(server)
    except OSError:
        return
