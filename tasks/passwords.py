"""Passwords of hosts: from environment variables, else prompted for on the terminal, once per group of hosts."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from slipway.engine.steps import Cancel, null_reporter
from slipway.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from slipway.config.models import Hosts
    from slipway.hosts.host import Host

SECRETS = {  # of a host: the variable that may say it (with _HOSTNAME behind, for one host), and what it is
    "sudo": ("SLIPWAY_SUDO_PASSWORD", "sudo password"),
    "password": ("SLIPWAY_SSH_PASSWORD", "SSH password"),
    "passphrase": ("SLIPWAY_SSH_PASSPHRASE", "passphrase of the SSH key"),
}
RESTORE_TIMEOUT = 1.0  # seconds for an interrupted prompt to restore the terminal
POLL = 0.1  # seconds between two looks at cancellation


class Passwords:
    """The passwords of hosts. `unasked` returns why nobody can be prompted, or ""; `mask` gets every secret first."""

    def __init__(
        self,
        hosts: Callable[[], Hosts],
        unasked: Callable[[], str],
        mask: Callable[[Iterable[str]], None],
        cancel: Cancel,
    ) -> None:
        self._hosts, self._unasked, self._mask, self._cancel = hosts, unasked, mask, cancel
        self._prompt_lock = threading.Lock()
        self._answers: dict[tuple[str, str], str] = {}

    def secret(self, kind: str, host: str) -> str:
        """A password of a host (of this machine: no name). Raises UsageError if nobody can be prompted."""
        from slipway.config.host_secrets import host_secret

        variable = SECRETS[kind][0]
        with self._prompt_lock:
            found = host_secret(variable, host)
            if found is None:
                known = self._hosts().hosts
                groups = known[host].groups if host in known else ()
                key = (kind, groups[0] if groups else host)
                found = self._answers.get(key)
                if found is None:
                    found = self._answers[key] = self._asked(kind, host, groups[0] if groups else "")
            self._mask([found])
        return found

    def _asked(self, kind: str, host: str, group: str) -> str:
        from slipway.config.host_secrets import host_variable

        variable, summary = SECRETS[kind]
        whose = f"{summary} for host {host}" if host else f"{summary} for this machine"
        whose += f" (group {group})" if group else ""
        if reason := self._unasked():
            own = f", or {host_variable(variable, host)} for this host alone" if host else ""
            raise UsageError(f"{whose} is needed, and {reason}", hint=f"set {variable}{own}")
        return prompt(f"{whose}: ", self._cancel, echo=False)

    def close(self) -> None:
        """Wait a moment for a prompt that was interrupted in another thread to restore the terminal."""
        self._prompt_lock.acquire(timeout=RESTORE_TIMEOUT)


def prompt(question: str, cancel: Cancel, *, echo: bool) -> str:
    """A line typed on the terminal that is standard input. Raises Cancelled when the run is, or at Ctrl-D."""
    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    mode = termios.tcgetattr(source)
    if not echo:
        mode[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(source, termios.TCSAFLUSH, mode)
        sys.stdout.write(question)
        sys.stdout.flush()
        while not select.select([source], [], [], POLL)[0]:
            cancel.check()
        line = os.read(source, 4096)
    finally:
        termios.tcsetattr(source, termios.TCSAFLUSH, before)
        if not echo:
            sys.stdout.write("\n")
            sys.stdout.flush()
    if not line:
        raise Cancelled
    return line.decode(errors="replace").rstrip("\r\n")


def check_sudo(host: Host, cancel: Cancel) -> None:
    """Try sudo once, before anything relies on it. Raises UsageError if it does not accept the password."""
    from slipway.hosts.host import Command, Privilege

    if host.run(Command(("true",), privilege=Privilege.ROOT, timeout=30), null_reporter(cancel)).exit_code != 0:
        hint = "check that it is the password of this user, and that sudo -v works"
        raise UsageError("sudo did not accept the password", hint=hint)
