"""Signs of life of a connection, on every hop: it asks for answers, and ends itself when nothing comes any more."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from paramiko import Transport
from paramiko.ssh_exception import SSHException

from slipway.engine.steps import Cancel

ASK = 5.0  # seconds between two questions to the far side
SILENT = 20.0  # seconds without a byte, though it was asked, after which the far side is gone
STOPPED = 2.0  # seconds beyond which an answer that was waited for a tenth of a second says more about this process


class MonitoredSocket:
    """A socket, or a channel of the hop before, that is at its end once nothing came for SILENT seconds."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._heard = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        """See `socket.recv`. Its transport asks every tenth of a second."""
        asked = time.monotonic()
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            now = time.monotonic()
            if now - asked > STOPPED:
                self._heard = now  # it was this process that stood still (Ctrl-Z, a laptop asleep)
            process = getattr(self._sock, "process", None)  # of a ProxyCommand
            if now - self._heard > SILENT or (process and process.poll() is not None):
                return b""
            raise
        self._heard = time.monotonic()
        return data

    def end(self) -> None:
        """End the conversation, so that whoever reads hears it at once."""
        with contextlib.suppress(OSError, EOFError):
            if isinstance(self._sock, socket.socket):
                self._sock.shutdown(socket.SHUT_RDWR)
            else:
                self._sock.close()


def dial(host: str, port: int, timeout: float, cancel: Cancel) -> socket.socket:
    """A TCP connection without Nagle's delay. Raises OSError; a run that is to end ends the wait too."""
    errors: list[OSError] = []
    name = host.encode() if host.isascii() else host  # of text, tables for international names would be loaded: 12 ms
    for family, kind, protocol, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        made.settimeout(timeout)
        forget = cancel.on_request(MonitoredSocket(made).end)
        try:
            made.connect(address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            errors.append(error)
        else:
            return made
        finally:
            forget()
        cancel.check()
    raise errors[0]


def keep(transport: Transport) -> None:
    """Ask the far side for an answer now and then, as ssh's ServerAliveInterval does (keepalive@openssh.com)."""

    def ask() -> None:
        with contextlib.suppress(SSHException, OSError, EOFError):
            while True:
                time.sleep(ASK)
                if not transport.is_active():
                    return
                transport.global_request("keepalive@openssh.com")

    threading.Thread(target=ask, daemon=True).start()
