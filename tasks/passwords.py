"""Passwords of hosts: when they are asked for, from which variables, and the prompt; once per group of hosts."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import null_reporter
from slipway.errors import Cancelled, Problem, UsageError

if TYPE_CHECKING:
    from slipway.engine.steps import AnyNode
    from slipway.hosts.host import Host

NAMES = {  # by kind
    "sudo": "sudo password",
    "password": "SSH password",
    "passphrase": "passphrase of the SSH key",
    "pin": "PIN of the SSH key's token",
}
RESTORE_TIMEOUT = 1.0  # seconds for an interrupted prompt to restore the terminal
POLL = 0.1  # seconds between two checks for cancellation


class Passwords:
    """The passwords of hosts, prompted for once per group.

    `groups` gives a host's groups, `no_prompt_reason` why nobody can be prompted (or ""), and `mask` gets every secret
    first.
    """

    def __init__(
        self,
        groups: Callable[[str], Sequence[str]],
        no_prompt_reason: Callable[[], str],
        mask: Callable[[Iterable[str]], None],
        cancel: Cancel,
    ) -> None:
        self._groups, self._no_prompt_reason, self._mask, self._cancel = groups, no_prompt_reason, mask, cancel
        self._prompt_lock = threading.Lock()
        self._answers: dict[tuple[str, str], str] = {}

    def secret(self, kind: str, host: str) -> str:
        """A password of a host (of this machine: no name). Raises UsageError if nobody can be prompted."""
        from slipway.config.host_secrets import host_secret

        with self._prompt_lock:
            found = host_secret(kind, host)
            if found is None:
                group = next(iter(self._groups(host)), "")
                key = (kind, group or host)
                if key not in self._answers:
                    self._answers[key] = self._prompt(kind, host, group)
                found = self._answers[key]
            self._mask([found])
        return found

    def _prompt(self, kind: str, host: str, group: str) -> str:
        from slipway.config.host_secrets import VARIABLES, host_variable

        whose = f"{NAMES[kind]} for host {host}" if host else f"{NAMES[kind]} for this machine"
        whose += f" (group {group})" if group else ""
        if reason := self._no_prompt_reason():
            own = f", or {host_variable(kind, host)} for this host alone" if host else ""
            raise UsageError(f"{whose} is needed, and {reason}", hint=f"set {VARIABLES[kind]}{own}")
        return prompt(f"{whose}: ", self._cancel, echo=False)

    def request_sudo(
        self,
        steps: Sequence[AnyNode],
        machine: Host,
        hosts: Sequence[Host],
        show: Callable[[str], None],
        *,
        at_once: int,
    ) -> None:
        """List what will change as root and ask for the password, before the first step: none has to wait for it.

        Raises UsageError where sudo on this `machine` does not accept it. Each SSH host checks its own when it is used,
        so that one refusal stops no other.
        """
        from slipway.engine.plan import compute_plan
        from slipway.hosts.host import step_prefix

        by_group = {step_prefix(host): host for host in (machine, *hosts)}
        on_hosts = [step for step in steps if step.group in by_group]
        if not on_hosts or (not hosts and machine.probe.facts().root):
            return
        reasons = compute_plan(on_hosts, at_once=at_once).reasons
        due = [step for step in on_hosts if step.id in reasons]
        for group in dict.fromkeys(step.group for step in due):
            try:
                facts = by_group[group].probe.facts()
            except Problem:
                continue  # its first step will fail with it, and the other hosts go on
            if facts.root:
                continue
            for step in due:
                if step.group == group:
                    show(f"  will change  {step.id}: {reasons[step.id]}")
            if facts.sudo == "password":
                show("These changes need root.")
                if by_group[group] is machine:
                    check_sudo(machine, self._cancel)
                else:
                    self.secret("sudo", group)

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
