"""Where this checkout is, and where its user is."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def working_directory() -> Path:
    """The folder that paths in flags and variables are relative to: where `./invoke` was typed."""
    return Path(os.environ.get("SLIPWAY_CWD") or Path.cwd())


def shown_path(path: Path) -> str:
    """A path as people know it: from the checkout where it is in there."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
