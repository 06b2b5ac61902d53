"""Passwords and passphrases of hosts in environment variables: VARIABLE for all hosts, VARIABLE_HOSTNAME for one."""

from __future__ import annotations

import os


def host_secret(variable: str, host: str) -> str | None:
    """A host's secret: from its own variable, else from the one for all hosts. An empty variable counts as unset."""
    return os.environ.get(host_variable(variable, host)) or os.environ.get(variable) or None


def host_variable(variable: str, host: str) -> str:
    """The variable of one host alone."""
    return f"{variable}_{''.join(c if c.isalnum() else '_' for c in host).upper()}"
