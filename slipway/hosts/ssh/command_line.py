"""The line that a host's login shell is given for a command, and what its standard input begins with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.hosts.host import Command
from slipway.hosts.ssh.remote_scripts import WRAPPER

SUDO_WITH_PASSWORD = ("sudo", "-k", "-S", "-p", "", "--")  # -k: it always reads the password's line


@dataclass(frozen=True)
class PrivilegeEscalation:
    """How a command becomes root's: the words before it, and the line of standard input that they read."""

    argv_prefix: tuple[str, ...] = ()
    stdin_line: str = ""


AS_USER = PrivilegeEscalation()
SUDO_WITHOUT_PASSWORD = PrivilegeEscalation(("sudo", "-n", "--"))


def sudo_with_password(password: str) -> PrivilegeEscalation:
    """Sudo that asks for a password."""
    return PrivilegeEscalation(SUDO_WITH_PASSWORD, f"{password}\n")


def command_line(command: Command, escalation: PrivilegeEscalation, env: Mapping[str, str]) -> tuple[bytes, str]:
    """What standard input begins with, and the line for the login shell. No secret is in the line.

    `env` are the host's own variables, behind those of the command.
    """
    variables = [f"{key}={value}" for key, value in {**env, **(command.env or {})}.items()]
    wrapped = ("sh", "-c", WRAPPER, "sh", str(len(variables)), command.cwd or "", *command.argv)
    stdin = escalation.stdin_line + "".join(f"{variable}\n" for variable in variables)
    return stdin.encode(), "exec " + shlex.join((*escalation.argv_prefix, *wrapped))
