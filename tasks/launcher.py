"""Plain `invoke`, of any version and in any folder of the checkout, goes on as `./invoke`."""

import os
import sys
from pathlib import Path

program = Path(sys.argv[0])
if program.name in {"invoke", "inv"} or program.parts[-2:] == ("invoke", "__main__.py"):
    launcher = str(Path(__file__).resolve().parent.parent / "invoke")
    os.execv("/bin/sh", ["sh", launcher, *sys.argv[1:]])  # noqa: S606  the same process goes on
