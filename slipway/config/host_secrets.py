"""Passwords and passphrases of hosts in environment variables: VARIABLE for all hosts, VARIABLE_HOSTNAME for one."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLES = {  # by kind of secret
    "sudo": "SLIPWAY_SUDO_PASSWORD",
    "password": "SLIPWAY_SSH_PASSWORD",
    "passphrase": "SLIPWAY_SSH_PASSPHRASE",
    "pin": "SLIPWAY_SSH_PIN",
}


def host_secret(kind: str, host: str) -> str | None:
    """A host's secret: from its own variable, else from the one for all hosts. An empty variable counts as unset."""
    return os.environ.get(host_variable(kind, host)) or os.environ.get(VARIABLES[kind]) or None


def without_host_secrets(env: Mapping[str, str]) -> dict[str, str]:
    """Variables for a program that Slipway starts: none of hosts' secrets, which it could print."""
    return {name: value for name, value in env.items() if not name.startswith(tuple(VARIABLES.values()))}


def host_variable(kind: str, host: str) -> str:
    """The variable of one host alone."""
    return f"{VARIABLES[kind]}_{''.join(c if c.isalnum() else '_' for c in host).upper()}"
