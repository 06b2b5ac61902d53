"""The registry of views, by their name in `--output`. A view is one module with `open_view`, and one line here."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

from slipway.errors import UsageError

if TYPE_CHECKING:
    from slipway.ui.view import Past, View

VIEWS = {  # modules, so that Rich is imported only where it draws
    "live": "slipway.ui.live",
    "plain": "slipway.ui.plain",
    "json": "slipway.ui.json",
}
AUTO = "auto"
OUTPUTS = (AUTO, *VIEWS)  # the values of --output


def choose_view(output: str) -> str:
    """The view behind `--output`: `auto` is live on a terminal and plain elsewhere. Raises UsageError if unknown."""
    if output == AUTO:
        return "live" if sys.stdout.isatty() and os.environ.get("TERM") not in {None, "dumb"} else "plain"
    if output not in VIEWS:
        raise UsageError(f"unknown output format: {output}", hint=f"use one of: {', '.join(OUTPUTS)}")
    return output


def open_view(name: str, out: TextIO, run: str, past: Past | None = None) -> View:
    """The view of that name for the run of that id, drawing on `out`. `past`: what earlier runs took."""
    from slipway.ui.view import no_past  # here, since the list of commands needs the names of views alone

    view: View = import_module(VIEWS[name]).open_view(out, run, past or no_past)
    return view
