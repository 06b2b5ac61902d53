"""Where this user's locks live: a folder that only this user can write to."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """The runtime folder of the login session (XDG_RUNTIME_DIR), or the state folder where there is none."""
    from platformdirs import user_state_path

    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    place = Path(runtime) / "slipway" if os.access(runtime, os.W_OK) else user_state_path("slipway")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place
