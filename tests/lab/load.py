"""Requests at a steady rate to a service, half on fresh connections, half on kept ones, without retries."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import requests

from tests.lab.toys import Toys

WORKERS = 16  # that ask at once: enough for a rate while some wait for an answer
SERVICES = "10.96.0.0/12"  # minikube's addresses of Services


def plain() -> requests.Session:
    """A session that no proxy of this machine is in the way of."""
    session = requests.Session()
    session.trust_env = False
    return session


def in_cluster(toys: Toys) -> str:
    """The URL of a toy's Service on the Minikube, to which this machine gets a route: the node routes Services."""
    address = toys.object("service")["spec"]["clusterIP"]
    node = subprocess.check_output(
        ["docker", "inspect", "-f", "{{.NetworkSettings.Networks.minikube.IPAddress}}", "minikube"], text=True
    ).strip()
    subprocess.run(["ip", "route", "replace", SERVICES, "via", node], check=True)
    return f"http://{address}:8080/"


class Load:
    """Counts what was sent, what was answered with 200, and keeps the words of what failed, each behind its time.

    `silence` is the longest time without an answer, in seconds; `rate` is what was really sent, requests a second.
    """

    def __init__(self, url: str, rate: int, session: Callable[[], requests.Session] = plain) -> None:
        self._url, self._session = url, session
        self.sent = self.answered = 0
        self.failures: list[str] = []
        self.names: set[str] = set()
        self.last = ""
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.silence = self.rate = 0.0
        self._began = self._heard = 0.0
        self._pause = WORKERS / rate
        self._threads = [threading.Thread(target=self._ask, args=(bool(n % 2), n / rate)) for n in range(WORKERS)]

    def _ask(self, kept: bool, due: float) -> None:
        """Ask whenever it is `due`, seconds from the beginning; what an answer took is caught up with."""
        session = self._session()
        while not self._ended.wait(max(0.0, self._began + due - time.monotonic())):
            due += self._pause
            with self._lock:
                self.sent += 1
            try:
                headers = {} if kept else {"Connection": "close"}
                answer = session.get(self._url, timeout=10, headers=headers)
                answer.raise_for_status()
            except requests.RequestException as error:
                with self._lock:
                    self.failures.append(f"{time.time():.1f} {'kept' if kept else 'fresh'} {error}")
                continue
            with self._lock:
                self.answered += 1
                self._answer()
                self.last = answer.text
                if found := re.search(r"from (\S+),", answer.text):
                    self.names.add(found[1])

    def _answer(self) -> None:
        now = time.monotonic()
        self.silence, self._heard = max(self.silence, now - self._heard), now

    def more(self, seconds: float) -> None:
        """Go on for a while."""
        self._ended.wait(seconds)

    def __enter__(self) -> Self:
        self._began = self._heard = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.rate = self.sent / (time.monotonic() - self._began)
        self._answer()
        for thread in self._threads:
            thread.join()
