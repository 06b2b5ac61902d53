"""Keepalive of a connection, on every hop: answers are requested, and a connection that gives none is ended."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from typing import Any

from paramiko import Transport
from paramiko.ssh_exception import SSHException

from slipway.engine.cancellation import Cancel

INTERVAL = 5.0  # seconds between two keepalive requests, as ssh's ServerAliveInterval
SILENCE_LIMIT = 20.0  # seconds without a byte, though answers were requested, after which the host is gone
HEAD_SIZE = 1024  # bytes that are kept of what came first
SUSPENDED = 2.0  # seconds that a read with a timeout of 0.1 s takes only if this process was stopped meanwhile


class MonitoredSocket:
    """A socket, or a channel of the hop before. Once it is `watched`, it reads as ended after SILENCE_LIMIT seconds.

    Until then, while a person may be asked for a passphrase, the timeouts of the login bound the wait.
    """

    def __init__(self, sock: Any) -> None:
        self._sock, self._watched = sock, False
        self._last_data = time.monotonic()
        self.head = b""  # the first bytes received: an SSH banner, or whatever else answers there
        self.ended = False  # whether the other side has ended it

    @property
    def greeted(self) -> bool:
        """Whether an SSH server sent its banner, before which it may say other lines (RFC 4253, 4.2)."""
        return re.search(rb"^SSH-", self.head, re.MULTILINE) is not None

    def proxy_errors(self) -> str:
        """What a ProxyCommand that has ended printed to standard error."""
        process = getattr(self._sock, "process", None)
        if process is None or process.poll() is None:
            return ""
        return str(process.stderr.read().decode(errors="replace").strip())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        """As `socket.recv`. The transport calls it with a timeout of a tenth of a second."""
        started = time.monotonic()
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            now = time.monotonic()
            if now - started > SUSPENDED:
                self._last_data = now  # it was this process that did not run (Ctrl-Z, a suspended laptop)
            process = getattr(self._sock, "process", None)  # of a ProxyCommand
            silent = self._watched and now - self._last_data > SILENCE_LIMIT
            if silent or (process and process.poll() is not None):
                self.ended = True
                return b""
            raise
        except OSError:
            self.ended = True
            raise
        self._last_data, self.ended = time.monotonic(), not data
        if len(self.head) < HEAD_SIZE:
            self.head += data[: HEAD_SIZE - len(self.head)]
        return data

    def watch(self) -> None:
        """From now on answers are requested, so that silence means that the host is gone."""
        self._watched, self._last_data = True, time.monotonic()

    def shut_down(self) -> None:
        """End the connection, so that a thread which reads from it returns at once."""
        if isinstance(self._sock, socket.socket):
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        else:
            self.close()

    def close(self) -> None:
        """Close it. A channel can't tell a hop that is gone, which must not end paramiko's thread with a traceback."""
        with contextlib.suppress(OSError, EOFError):
            self._sock.close()


def connect_tcp(
    host: str, port: int, timeout: float, cancel: Cancel, *, family: int = socket.AF_UNSPEC, source: str = ""
) -> socket.socket:
    """A TCP connection with TCP_NODELAY, from the address `source` if one is given.

    Raises OSError, or Cancelled, which also interrupts the wait.
    """
    errors: list[OSError] = []
    name = host.encode() if host.isascii() else host  # a str would load the tables of international names: 12 ms
    try:
        addresses = socket.getaddrinfo(name, port, family, socket.SOCK_STREAM)
    except UnicodeError as error:  # a name that can't be one
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    for found, kind, protocol, _, address in addresses:
        try:
            sock = socket.socket(found, kind, protocol)
        except OSError as error:  # this machine has no IPv6
            errors.append(error)
            continue
        sock.settimeout(timeout)
        unregister = cancel.on_request(MonitoredSocket(sock).shut_down)
        try:
            if source:
                _bind(sock, source)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            errors.append(error)
        else:
            return sock
        finally:
            unregister()
        cancel.check()
    raise errors[-1]


def _bind(sock: socket.socket, source: str) -> None:
    try:
        sock.bind((source, 0))
    except OSError as error:
        raise OSError(f"BindAddress {source}: {error}") from error


def start_keepalive(transport: Transport) -> None:
    """Request an answer now and then, as ssh's ServerAliveInterval does (keepalive@openssh.com)."""
    monitored: Any = transport.sock
    monitored.watch()
    threading.Thread(target=_request_answers, args=(transport,), daemon=True).start()


def _request_answers(transport: Transport) -> None:
    with contextlib.suppress(SSHException, OSError, EOFError):
        while True:
            time.sleep(INTERVAL)
            if not transport.is_active():
                return
            transport.global_request("keepalive@openssh.com")
