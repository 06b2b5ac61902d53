"""The program behind `./invoke`: Invoke's own, with tasks in groups and exit code 2 for usage errors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.exceptions import ParseError

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def _usage_errors() -> Iterator[None]:
    """What Invoke raises for wrong values of its own flags, as a message instead of a traceback."""
    from invoke.exceptions import AmbiguousEnvVar, ParseError, UncastableEnvVar, UnknownFileType

    try:
        yield
    except ParseError:
        raise
    except (ValueError, OSError, ImportError, UnknownFileType, AmbiguousEnvVar, UncastableEnvVar) as error:
        print(f"wrong usage: {error}\n  hint: ./invoke --help", file=sys.stderr)  # noqa: T201  the answer
        sys.exit(2)


def _hint(error: ParseError, names: Iterable[str]) -> str:
    """What to type instead of what Invoke could not parse."""
    import difflib
    import re

    unknown = re.search(r"No idea what '(.+)' is", str(error))
    if unknown and (near := difflib.get_close_matches(unknown[1], names, n=1, cutoff=0.7)):
        return f"did you mean {near[0]}?"
    return f"./invoke --help {error.context.name}" if error.context and error.context.name else "./invoke --list"


def main() -> None:
    """Run the tasks named on the command line."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # there are none: looking takes 12 ms
    gc.set_threshold(50_000)  # a tenth of a short command's time goes into collecting what its imports made
    sys.path[0] = str(ROOT)
    from invoke import Exit, Program
    from invoke.exceptions import ParseError

    from tasks import GROUPS, ns

    class Slipway(Program):
        def load_collection(self) -> None:
            self.collection = ns

        def list_flat(self) -> None:
            if self.list_root:
                super().list_flat()
                return
            for heading, group in GROUPS.items():
                print(f"{heading}:\n")  # noqa: T201  the answer
                self.print_columns(self._make_pairs(group))

        def no_tasks_given(self) -> None:
            self.list_tasks()
            raise Exit

        def parse_core(self, argv: list[str] | None) -> None:
            with _usage_errors():
                super().parse_core(argv)

        def update_config(self, merge: bool = True) -> None:  # noqa: FBT001, FBT002  Invoke's
            with _usage_errors():
                super().update_config(merge)

        def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002  Invoke's
            try:
                super().run(argv, exit=exit)
            except SystemExit as end:
                if isinstance(error := end.__context__, ParseError):
                    print(f"  hint: {_hint(error, ns.task_names)}", file=sys.stderr)  # noqa: T201  the answer
                    sys.exit(2)
                raise

    try:
        Slipway(version="0.1.0", name="Slipway", binary="./invoke", binary_names=["./invoke", "invoke"]).run(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    finally:
        gc.freeze()  # the process ends: to collect what is left would take a tenth of a second


if __name__ == "__main__":
    main()
