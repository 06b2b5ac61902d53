"""Who runs Slipway."""

from __future__ import annotations

import getpass
import os
import socket


def user_name() -> str:
    """The user's name, or its id where /etc/passwd has no entry for it, as in a container run with `-u 12345`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        return str(os.getuid())


def who() -> str:
    """The user and the machine: ann@laptop."""
    return f"{user_name()}@{socket.gethostname()}"
