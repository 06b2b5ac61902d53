"""A team's own tasks: tasks_local.py in the checkout, written for Invoke as in any other project."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from types import ModuleType

from invoke import Collection, Exit

from tasks.paths import ROOT

FILE = ROOT / "tasks_local.py"


def collection(taken: Iterable[Collection]) -> Collection | None:
    """The tasks in the file; None without one. Raises Exit if it can't be imported, or a name in it is `taken`."""
    if not FILE.is_file():
        return None
    loader = SourceFileLoader(FILE.stem, str(FILE))
    module = ModuleType(FILE.stem)
    module.__file__ = str(FILE)
    sys.modules[FILE.stem] = module  # as Invoke does: dataclasses look their module up
    try:
        loader.exec_module(module)
        found = Collection.from_module(module)
    except Exception as error:
        line = next((at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(FILE)), None)
        line = error.lineno if isinstance(error, SyntaxError) else line
        raise Exit(f"{FILE.name}:{line or 1}: {type(error).__name__}: {error}", code=2) from error
    names = {name for group in taken for name in (*group.tasks, *group.collections)}
    if double := sorted(names & {*found.tasks, *found.tasks.aliases, *found.collections}):
        raise Exit(f"{FILE.name}: `{double[0]}` is a command of Slipway\n  hint: rename it", code=2)
    return found
