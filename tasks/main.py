"""The program behind `./invoke`: Invoke's own, with usage errors as exit code 2 and a quiet end of a closed pipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the tasks named on the command line."""
    sys.path[0] = str(ROOT)
    from invoke import Program
    from invoke.exceptions import ParseError

    from tasks import ns

    class Slipway(Program):
        def print_version(self) -> None:
            print("Slipway 0.1.0")  # noqa: T201  the answer

        def load_collection(self) -> None:
            self.collection = ns

        def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002  Invoke's
            try:
                super().run(argv, exit=exit)
            except SystemExit as end:
                if isinstance(end.__context__, ParseError):
                    sys.exit(2)
                raise

    try:
        Slipway(name="Slipway", binary="./invoke").run(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
