"""The process behind `./invoke`."""

from __future__ import annotations

import gc
import importlib
import os
import select
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class LazyModule(ModuleType):
    """A module that is imported when something in it is first used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def leave_out_plugins() -> None:
    """Have pydantic look for no plugins: there are none, and what reads packages' metadata has an e-mail parser."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # the documented way, whose import remains
    sys.modules["pydantic.plugin._loader"] = loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = tuple


def import_invoke() -> None:
    """Import Invoke without what only its configuration files and tests need: that is a third of `--list`'s time."""
    sys.modules["invoke.vendor.yaml"] = LazyModule("invoke.vendor.yaml")
    sys.modules["unittest.mock"] = mock = ModuleType("unittest.mock")
    vars(mock)["Mock"] = _mock
    importlib.import_module("invoke")
    del sys.modules["unittest.mock"]


def _mock(*words: Any, **options: Any) -> Any:
    """What Invoke's MockContext is made of."""
    from unittest.mock import Mock

    return Mock(*words, **options)


def main() -> None:
    """Run the tasks named on the command line."""
    leave_out_plugins()
    gc.set_threshold(500_000)  # a tenth of a short command's time goes into collecting what its imports made
    sys.path[0] = str(ROOT)
    import_invoke()
    from tasks.program import Slipway

    try:
        Slipway().run(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        output = select.poll()
        output.register(sys.stdout.fileno(), 0)
        if not output.poll(0):
            raise  # another pipe's, such as that of a team's task
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` has read enough
        sys.exit(0)
    finally:
        gc.freeze()  # the process ends: to collect what is left would take a tenth of a second


if __name__ == "__main__":
    main()
