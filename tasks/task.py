"""`@command`: an Invoke task with the flags that every command has, and Slipway's errors and exit codes around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from invoke import Context, Task, task

from slipway.ui.views import OUTPUTS

COMMON = {
    "env": ("", "the environment; default: this checkout's (local, until `env.use` or `up --env` changes it)"),
    "output": ("auto", f"the output format: {', '.join(OUTPUTS)}"),
    "settings": ("", "a folder whose files replace those of config/ (SLIPWAY_SETTINGS)"),
    "services": ("", "another team's services folder (SLIPWAY_SERVICES)"),
}
CHANGES = {
    "plan": (False, "show what would change and change nothing; exit 3 if anything would"),
    "yes": ("", "don't ask; a protected environment needs its name: --yes staging"),
}
BUNDLE = {"bundle": ("", "a folder made by bundle.create: nothing that it holds is downloaded")}


def command(
    *, changes: bool = False, confirm: bool = False, bundle: bool = False, **flags: str
) -> Callable[[Callable[..., None]], Task[Any]]:
    """Make a task of `body(invocation, **own flags)`. `flags` are help texts of its own flags, whose defaults are text.

    `changes`: it takes --plan and --yes; Invoke's --dry is --plan for every command. `confirm`: a protected
    environment needs --yes with its name.

    Invoke reads the signature: it gets the body's own flags and the common ones. The body gets an `Invocation`.
    """

    def wrap(body: Callable[..., None]) -> Task[Any]:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [p.replace(kind=kind) for p in inspect.signature(body).parameters.values() if p.name != "invocation"]
        common = {**COMMON, **(CHANGES if changes else {}), **(BUNDLE if bundle else {})}
        added = [inspect.Parameter(name, kind, default=default) for name, (default, _) in common.items()]
        defaults = {parameter.name: parameter.default for parameter in (*own, *added)}
        name = body.__name__.rstrip("_")

        def run(context: Context, **given: Any) -> None:
            from tasks.execution import execute

            values = defaults | {flag: value for flag, value in given.items() if value is not None}
            blank = next((flag for flag, text in given.items() if isinstance(text, str) and not text.strip(" ,")), "")
            shared = {flag: values.pop(flag) for flag in common}
            if context.config.run.dry:
                shared["plan"] = True
            shared["confirm"] = confirm
            execute(body, name, shared, values, blank)

        # None tells a text that was not given from one that is empty; Invoke takes either for text
        signature = [p.replace(default=None) if isinstance(p.default, str) else p for p in (*own, *added)]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter("context", kind), *signature]
        )
        run.__doc__, run.__name__ = body.__doc__, body.__name__
        texts = {**flags, **{flag: text for flag, (_, text) in common.items()}}
        optional = ["yes"] if changes else []
        made: Task[Any] = task(  # type: ignore[assignment]
            run, name=name, positional=[], optional=optional, auto_shortflags=False, help=texts
        )
        return made

    return wrap
