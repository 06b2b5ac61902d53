"""Invoke's program as Slipway has it: commands in groups, services by name, exit code 2 for usage errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from invoke import Collection, Config, Exit, Program
from invoke.exceptions import AmbiguousEnvVar, ParseError, UncastableEnvVar, UnknownFileType
from invoke.parser import Parser

from tasks import GROUPS, command_line, merged, ns, team
from tasks.paths import ROOT
from tasks.task import Command

FORMATS = ("flat", "nested", "json")  # of --list
FOR_TEAM_TASKS = (
    "command-timeout", "config", "echo", "hide", "no-dedupe", "prompt-for-sudo-password", "pty", "warn-only"
)  # fmt: skip


class OwnConfig(Config):
    """Invoke's settings without the files of the home folder and of /etc, which are about other projects."""

    def load_base_conf_files(self) -> None:
        """Read none of them."""


class Slipway(Program):
    """`./invoke`."""

    def __init__(self) -> None:
        names = ["./invoke", "invoke", "inv"]
        super().__init__(version="0.1.0", name="Slipway", binary="./invoke", binary_names=names, config_class=OwnConfig)
        self.groups: Mapping[str, Collection] = GROUPS
        self.collection = ns
        self._parser: Parser | None = None  # made once: it copies what it parses into

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002  Invoke's
        """Run the commands; what can't be parsed ends with a hint and exit code 2."""
        try:
            super().run(argv, exit=exit)
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):
                from tasks.exit_codes import ExitCode

                sys.exit(int(ExitCode.INTERRUPTED))
            if isinstance(error := end.__context__, ParseError):
                print(f"  hint: {self._hint(error)}", file=sys.stderr)  # noqa: T201  the answer
                sys.exit(2)
            raise

    def _hint(self, error: ParseError) -> str:
        from tasks import names

        return command_line.hint(error, self.collection, names.services(), names.environments())

    def parse_core(self, argv: list[str] | None) -> None:
        """Invoke's own flags; completion is answered at once."""
        if argv and argv[1:3] == ["--complete", "--"]:
            from tasks.completion import candidates

            self.load_collection()
            print(*candidates(argv[4:], self.collection), sep="\n")  # noqa: T201  the answer
            raise Exit
        with _usage_errors():
            super().parse_core(argv)
            # Invoke's default, not to write any, would compile each module of slipway anew for each command
            sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
            root, name = self.args["search-root"].value or ROOT, self.args.collection.value or "tasks"
            if not Path(root).resolve().is_relative_to(ROOT) or name != "tasks":
                raise ValueError(f"these are the tasks of {ROOT}, not of {root}, {name}.py")

    def parse_core_args(self) -> None:
        """Invoke's own flags; the completion script is printed at once."""
        super().parse_core_args()
        if shell := self.args["print-completion-script"].value:
            from tasks.completion import script

            print(script(shell))  # noqa: T201  the answer
            raise Exit

    def load_collection(self) -> None:
        """All commands, and the team's own in tasks_local.py."""
        if found := team.collection(GROUPS.values()):
            self.groups = {**GROUPS, "This team's own": found}
        self.collection = merged(self.groups.values())

    def parse_tasks(self) -> None:
        """The commands as they were typed, for Invoke's parser. A family alone lists its commands."""
        words = self.core.unparsed
        if words[:1] == ["help"]:
            words = [*words[1:], "--help"] if words[1:] else []
        if words and words[0] in self.collection.collections and {*words[1:]} <= {"--help", "-h"}:
            self.args.list.value, words = words[0], []
        parser = self._make_parser()
        contexts = parser.contexts.values()
        typed = command_line.expand(words, command_line.commands(self.collection, contexts))
        self.core.unparsed = typed
        # Invoke's copies all that it knows: of the commands, those that were typed are enough
        self._parser = Parser([one for one in contexts if {one.name, *one.aliases} & {*typed}], parser.initial)
        with _usage_errors():
            super().parse_tasks()
        self.parser = self._parser = parser

    def _make_parser(self) -> Parser:
        if self._parser is None:
            self._parser = super()._make_parser()
        return self._parser

    def parse_cleanup(self) -> None:
        """Refuse an unknown --list-format or family; then Invoke's --help and --list."""
        if (form := self.args["list-format"].value) not in FORMATS:
            raise ParseError(f"--list-format is one of {', '.join(FORMATS)}, not {form}")
        if isinstance(family := self.args.list.value, str) and family not in self.collection.collections:
            raise ParseError(f"unknown family of commands: {family}")
        super().parse_cleanup()

    def update_config(self, merge: bool = True) -> None:  # noqa: FBT001, FBT002  Invoke's
        """Invoke's settings. Its flags for shell commands are refused for a command that runs none through Invoke."""
        ours = next((task.name for task in self.tasks if isinstance(self.collection[task.name], Command)), None)
        if flag := next((flag for flag in FOR_TEAM_TASKS if ours and self.args[flag].value), None):
            raise ParseError(f"--{flag} is for tasks of tasks_local.py: `{ours}` runs nothing through Invoke")
        with _usage_errors():
            super().update_config(merge)

    def no_tasks_given(self) -> None:
        """List the commands."""
        self.list_tasks()
        raise Exit

    def list_flat(self) -> None:
        """The commands in groups, or those of a family."""
        if self.list_root:
            print(f"{self.task_list_opener()}:\n")  # noqa: T201  the answer
            self.print_columns(
                [(self.list_root + name, text) for name, text in self._make_pairs(self.scoped_collection)]
            )
            return
        for heading, group in self.groups.items():
            print(f"{heading}:\n")  # noqa: T201  the answer
            self.print_columns(self._make_pairs(group))

    def list_json(self) -> None:
        """The commands by the names that run, in Invoke's format."""
        prefix = f"{self.list_root}." if self.list_root else ""
        print(json.dumps(_serialized(self.scoped_collection, prefix)))  # noqa: T201  the answer


def _serialized(collection: Collection, prefix: str = "") -> dict[str, Any]:
    """A collection as Invoke's `serialized` has it, whose tasks have their full names."""
    found: dict[str, Any] = collection.serialized()
    names = {task.name: name for name, task in collection.tasks.items()}
    for task in found["tasks"]:
        task["name"] = prefix + names.get(task["name"], task["name"])
    parts = sorted(collection.collections.items())
    return found | {"collections": [_serialized(part, f"{prefix}{name}.") for name, part in parts]}


@contextmanager
def _usage_errors() -> Iterator[None]:
    """What Invoke raises for wrong values of its own flags, as a message instead of a traceback."""
    try:
        yield
    except ParseError:
        raise
    except (ValueError, OSError, ImportError, UnknownFileType, AmbiguousEnvVar, UncastableEnvVar) as error:
        print(f"wrong usage: {error}\n  hint: ./invoke --help", file=sys.stderr)  # noqa: T201  the answer
        sys.exit(2)
