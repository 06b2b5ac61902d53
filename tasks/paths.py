"""Where this checkout is, and where its user is."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def working_directory() -> Path:
    """The folder that paths in flags and variables are relative to: where `./invoke` was typed."""
    return Path(os.environ.get("SLIPWAY_CWD") or Path.cwd())
