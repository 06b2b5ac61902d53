"""Passwords and passphrases of hosts in environment variables: VARIABLE for all hosts, VARIABLE_HOSTNAME for one."""

from __future__ import annotations

import os

VARIABLES = {  # by kind of secret
    "sudo": "SLIPWAY_SUDO_PASSWORD",
    "password": "SLIPWAY_SSH_PASSWORD",
    "passphrase": "SLIPWAY_SSH_PASSPHRASE",
    "pin": "SLIPWAY_SSH_PIN",
}


def host_secret(kind: str, host: str) -> str | None:
    """A host's secret: from its own variable, else from the one for all hosts. An empty variable counts as unset."""
    return os.environ.get(host_variable(kind, host)) or os.environ.get(VARIABLES[kind]) or None


def host_variable(kind: str, host: str) -> str:
    """The variable of one host alone."""
    return f"{VARIABLES[kind]}_{''.join(c if c.isalnum() else '_' for c in host).upper()}"
