"""`@command`: an Invoke task with the flags that every command has, and Slipway's errors and exit codes around it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from invoke import Context, Task, task
from invoke.parser import Argument

from slipway.ui.views import OUTPUTS

COMMON = {
    "env": ("", "the environment (SLIPWAY_ENV); default: this checkout's: local, or what `env.use` set"),
    "output": ("auto", f"the output format: {', '.join(OUTPUTS)} (SLIPWAY_OUTPUT)"),
    "settings": ("", "a folder whose files replace those of config/ (SLIPWAY_SETTINGS)"),
    "services": ("", "another team's services folder (SLIPWAY_SERVICES)"),
}
CHANGES = {
    "plan": (False, "show what would change and change nothing; exit 3 if anything would"),
    "yes": ("", "don't ask; a protected environment needs its name: --yes staging"),
}
VARIABLES = {"env": "SLIPWAY_ENV", "output": "SLIPWAY_OUTPUT"}  # the other two are folders: see Invocation.folder
SHORT = {"service": "s", "env": "e", "plan": "n", "follow": "f"}
SEVERAL = ("service", "host")  # flags that take several names: separated by commas, or given again
BUILDS = {
    "no_cache": (
        False,
        "build each jar that is needed with Leiningen from the start, and keep nothing warm between smoke tests",
    )
}
BUNDLE = {"bundle": ("", "a folder made by bundle.create: nothing that it holds is downloaded")}


class Command(Task[Any]):
    """A task with short flags. Words behind it that belong to no flag go to its first flag for text."""

    positional_flag = ""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: FBT001  Invoke's
        """Its flags. (Invoke's own takes the help texts away as it reads them: the second time there are none.)"""
        texts = dict(self.help)
        found: list[Argument] = super().get_arguments(ignore_unknown_help)
        self.help = texts
        return found

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Invoke's options of a flag, with its short name."""
        options = super().arg_opts(name, default, taken_names)
        options["names"] += SHORT.get(name, "")
        return options


def command(
    *, changes: bool = False, confirm: bool = False, builds: bool = False, bundle: bool = False, **flags: str
) -> Callable[[Callable[..., None]], Command]:
    """Make a task of `body(invocation, **own flags)`. `flags` are help texts of its own flags, whose defaults are text.

    `changes`: it takes --plan and --yes; Invoke's --dry is --plan for every command. `confirm`: a protected
    environment needs --yes with its name. `builds`: it takes --no-cache.

    Invoke reads the signature: it gets the body's own flags and the common ones. The body gets an `Invocation`.
    """

    def wrap(body: Callable[..., None]) -> Command:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [p.replace(kind=kind) for p in inspect.signature(body).parameters.values() if p.name != "invocation"]
        common = {
            **COMMON,
            **(CHANGES if changes else {}),
            **(BUILDS if builds else {}),
            **(BUNDLE if bundle else {}),
        }
        added = [inspect.Parameter(name, kind, default=default) for name, (default, _) in common.items()]
        defaults = {parameter.name: parameter.default for parameter in (*own, *added)}
        name = body.__name__.rstrip("_")

        def run(context: Context, **given: Any) -> None:
            from tasks.execution import execute

            typed = {flag: value for flag, given_value in given.items() if (value := _joined(given_value)) is not None}
            variables = {flag: os.environ.get(variable) or defaults[flag] for flag, variable in VARIABLES.items()}
            values = defaults | variables | typed
            blank = next((flag for flag, text in typed.items() if isinstance(text, str) and not text.strip(" ,")), "")
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
        several = [flag for flag in SEVERAL if flag in defaults]
        made: Command = task(  # type: ignore[assignment]
            run,
            klass=Command,
            name=name,
            positional=[],
            optional=optional,
            iterable=several,
            auto_shortflags=False,
            help=texts,
        )
        made.positional_flag = own[0].name if own and isinstance(own[0].default, str) else ""
        return made

    return wrap


def _joined(value: Any) -> Any:
    """A flag's value; the names of one that was given several times, or None if it was not given."""
    return ",".join(value) or ("" if value else None) if isinstance(value, list) else value
