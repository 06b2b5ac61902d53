"""`dev` on the real Docker: saved sources take effect, errors have their place, and Ctrl-C leaves nothing."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
import requests

from tests.integration.printed import printed
from tests.integration.project import Another, Light

SERVER = """(ns shop.core (:gen-class) (:require [shop.page :as page]) (:import (java.net ServerSocket)))
(defn -main [& _]
  (with-open [server (ServerSocket. 9000)]
    (while true
      (with-open [socket (.accept server)]
        (.read (.getInputStream socket) (byte-array 4096))
        (let [text (page/text)]
          (doto (.getOutputStream socket)
            (.write (.getBytes (str "HTTP/1.1 200 OK\\r\\nContent-Length: " (count text) "\\r\\nConnection: close\\r\\n\\r\\n" text)))
            (.flush)))))))
"""
PAGE = """(ns shop.page (:require [shop.words :refer [greeting]]))
(defn text [] (greeting))
"""
WORDS = """(ns shop.words)
(defmacro greeting [] "hello")
"""
CLOJURE = '[org.clojure/clojure "1.11.4"]'
# Without Clojars: Leiningen's own package brings nREPL's.
DEBIAN = '{:repositories {"clojars" {:url "file:///usr/share/maven-repo" :checksum :ignore}}}'


class Dev:
    """A running `dev` of the shop, and what it prints."""

    def __init__(self, project: Another, process: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
        self.project, self.process, self.lines = project, process, lines
        self.code = project.service / "code" / "shop"

    def until(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        """The first line from here on that matches."""
        seen = []
        try:
            while not (found := re.search(pattern, line := self.lines.get(timeout=seconds))):
                seen.append(line)
        except Empty:
            raise AssertionError("\n".join([f"no {pattern} in:", *seen])) from None
        return found

    def save(self, name: str, text: str) -> None:
        (self.code / name).write_text(text)

    def evaluated(self, code: str) -> bytes:
        """What nREPL answers, at the address that is printed (nrepl.org: messages are bencode)."""
        port = int(self.until(r"^nREPL +127.0.0.1:(\d+)$")[1])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as stream:
            stream.sendall(f"d2:op4:eval4:code{len(code)}:{code}e".encode())
            answer = b""
            while b"4:done" not in answer and (read := stream.recv(4096)):
                answer += read
        return answer

    @property
    def left(self) -> str:
        """What Docker has of the project's tests and sessions."""
        words = ("--filter", f"label=slipway.project={self.project.name}", "--format", "{{.Names}} {{.Name}}")
        commands = (
            ["docker", "ps", "-a", *words[:3], "{{.Names}}"],
            ["docker", "network", "ls", *words[:3], "{{.Name}}"],
        )
        return "".join(subprocess.run(one, check=True, capture_output=True, text=True).stdout for one in commands)


def write_shop(project: Another) -> None:
    """Write the sources of the shop, which has nREPL on its class path."""
    lein = project.service / "project.clj"
    with_nrepl = lein.read_text().replace(CLOJURE, f'{CLOJURE} [nrepl "1.0.0"]')
    lein.write_text(with_nrepl.replace("{:uberjar", f"{{:debian {DEBIAN} :uberjar"))
    for name, text in {"core.clj": SERVER, "page.clj": PAGE, "words.clj": WORDS}.items():
        (project.service / "code" / "shop" / name).write_text(text)


@contextmanager
def session(project: Another, *flags: str) -> Iterator[Dev]:
    """A `dev` of the shop, which is ended by Ctrl-C unless it has ended before."""
    words = project.command("dev", "shop", "--output", "plain", *flags)
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        printed(process) as lines,
    ):
        try:
            yield Dev(project, process, lines)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    project = Another(tmp_path / "p")
    write_shop(project)
    lein = project.service / "project.clj"  # what direct links would keep is called through its var all the same
    linked = '{:aot :all :jvm-opts ["-Dclojure.compiler.direct-linking=true"]}'
    lein.write_text(lein.read_text().replace("{:aot :all}", linked))
    try:
        with session(project) as running:
            yield running
    finally:
        project.purge()


def test_what_is_saved_takes_effect_at_once_and_ctrl_c_leaves_nothing(dev: Dev) -> None:
    url = dev.until(r"^shop +(http://127.0.0.1:\d+)$")[1]
    repl = dev.until(r"^REPL +nc 127.0.0.1 (\d+)$")[1]
    nrepl = dev.evaluated("(shop.page/text)")
    dev.until("^1 of 1 checks passed in")
    with socket.create_connection(("127.0.0.1", int(repl)), timeout=30) as stream:
        stream.sendall(b"(shop.page/text)\n")
        assert b':val "\\"hello\\""' in stream.recv(4096)
    assert b'5:value7:"hello"' in nrepl
    dev.save("page.clj", PAGE.replace("(greeting)", '(str (greeting) "!")'))
    dev.until(r"  shop\.page  \(evaluated \d+\.\d\d s after the save\)  0 of 1 checks passed")
    dev.until("expected the body to match")
    assert requests.get(url, timeout=10).text == "hello!"
    dev.save("page.clj", PAGE.replace("(greeting)", "(greetin)"))
    dev.until(r"code/shop/page\.clj:2:15: Unable to resolve symbol: greetin in this context")
    dev.save("page.clj", PAGE)
    dev.until(r"  shop\.page  \(evaluated .*  1 of 1 checks passed")
    dev.save("words.clj", WORDS.replace("hello", "hi"))
    dev.until(r"  shop\.words, shop\.page  \(evaluated .*  0 of 1 checks passed")  # its macro is expanded in page
    assert requests.get(url, timeout=10).text == "hi"
    dev.save("more.clj", "(ns shop.more (:require [shop.page]))")
    dev.until(r"  shop\.more  \(evaluated")
    (dev.code / "more.clj").unlink()
    dev.until(r"code/shop/more\.clj is gone: its namespace stays")
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(60) == 130
    assert dev.left == ""


def test_a_service_without_clojure_is_refused(light: Light) -> None:
    done = light.invoke("dev", "light")
    assert done.exit == 2
    assert "light is not built as a jar" in done.err
