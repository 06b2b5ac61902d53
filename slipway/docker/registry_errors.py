"""What a registry answers, by the texts in which Docker and containerd pass it on: neither has a code for it."""

from __future__ import annotations

import re

DENIED = re.compile(r"(?i)unauthorized|forbidden|no basic auth|authorization failed|(?<!permission )denied")
FAULT = re.compile(r"unexpected (HTTP )?status\b.*: 5\d\d\b")  # distribution's client, and containerd's


def is_fault(text: str) -> bool:
    """Whether the registry answered that it failed itself."""
    return FAULT.search(text) is not None


def is_denied(text: str) -> bool:
    """Whether the registry wants other credentials."""
    return DENIED.search(text) is not None
