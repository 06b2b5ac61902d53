"""The process behind `./invoke`."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the tasks named on the command line."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # there are none: looking takes 12 ms
    gc.set_threshold(50_000)  # a tenth of a short command's time goes into collecting what its imports made
    sys.path[0] = str(ROOT)
    from tasks.program import Slipway

    try:
        Slipway().run(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    finally:
        gc.freeze()  # the process ends: to collect what is left would take a tenth of a second


if __name__ == "__main__":
    main()
