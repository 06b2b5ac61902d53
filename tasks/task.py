"""`@verb`: a task with the flags that every command has, and Slipway's errors and exit codes around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from invoke import Context, Task, task

COMMON = {
    "env": ("", "the environment; default: this checkout's (local until `env.use` or `up --env` changed it)"),
    "output": ("auto", "auto, live, plain or json"),
    "settings": ("", "a folder whose files replace those of config/ (SLIPWAY_SETTINGS)"),
    "services": ("", "another team's services folder (SLIPWAY_SERVICES)"),
}
CHANGES = {
    "plan": (False, "say what would change and change nothing; exit 3 if anything would"),
    "yes": ("", "ask nothing; a protected environment wants its name: --yes staging"),
}
BUNDLE = {"bundle": ("", "a folder made by bundle.create: nothing that it has is asked of the network")}


def verb(
    *, changes: bool = False, confirm: bool = False, bundle: bool = False, **flags: str
) -> Callable[[Callable[..., None]], Task[Any]]:
    """Make a task of `body(command, **own flags)`. `flags` are help texts of its own flags, whose defaults are text.

    `changes`: it takes --plan and --yes; Invoke's --dry is --plan for every verb. `confirm`: a protected environment
    wants --yes with its name.

    Invoke reads the signature: it gets the body's own flags and the common ones. The body gets an `Invocation`.
    """

    def wrap(body: Callable[..., None]) -> Task[Any]:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [p.replace(kind=kind) for p in inspect.signature(body).parameters.values() if p.name != "command"]
        common = {**COMMON, **(CHANGES if changes else {}), **(BUNDLE if bundle else {})}
        added = [inspect.Parameter(name, kind, default=default) for name, (default, _) in common.items()]
        defaults = {one.name: one.default for one in (*own, *added)}

        def run(context: Context, **said: Any) -> None:
            from tasks.signals import guarded

            given = defaults | {name: value for name, value in said.items() if value is not None}
            blank = next((name for name, text in said.items() if isinstance(text, str) and not text.strip(" ,")), "")
            shared = {name: given.pop(name) for name in common}
            if context.config.run.dry:
                shared["plan"] = True
            shared["confirm"] = confirm
            guarded(body, body.__name__.rstrip("_"), shared, given, blank)

        # None tells a text that was not given from one that is empty; Invoke takes either for text
        shown = [p.replace(default=None) if isinstance(p.default, str) else p for p in (*own, *added)]
        run.__signature__ = inspect.Signature([inspect.Parameter("context", kind), *shown])  # type: ignore[attr-defined]
        run.__doc__, run.__name__ = body.__doc__, body.__name__
        texts = {**flags, **{name: text for name, (_, text) in common.items()}}
        name, optional = body.__name__.rstrip("_"), ["yes"] if changes else []
        made: Task[Any] = task(  # type: ignore[assignment]
            run, name=name, positional=[], optional=optional, auto_shortflags=False, help=texts
        )
        return made

    return wrap
