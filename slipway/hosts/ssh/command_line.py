"""The line that a host's login shell is given for a command, and what its standard input begins with."""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.hosts.host import Command
from slipway.hosts.ssh.remote_scripts import WRAPPER

PLAIN = frozenset(f"{string.ascii_letters}{string.digits} _-./:,@+".encode())  # the same in every shell's quotes
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
    return stdin.encode(), for_any_shell(*escalation.argv_prefix, *wrapped)


def for_any_shell(*argv: str) -> str:
    """The line that makes any login shell become a command, whatever it does with quotes, newlines, ! and backslashes.

    Sh runs it; what another shell (fish, csh) might read for itself is in octal, as the %b of printf(1) reads it.
    """
    program = "exec " + shlex.join(argv)
    encoded = "".join(chr(byte) if byte in PLAIN else f"\\0{byte:03o}" for byte in program.encode())
    return f"""exec sh -c 'eval "$(printf %b "$1")"' sh '{encoded}'"""
