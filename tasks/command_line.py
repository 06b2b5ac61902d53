"""What people type, as the words that Invoke parses: services by name, families of commands, flags given twice."""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from invoke import Collection as TaskCollection
from invoke.exceptions import ParseError
from invoke.parser import Argument, ParserContext

DESTRUCTIVE = frozenset({"down", "cluster.delete", "lab.down"})  # never suggested instead of what was typed


@dataclass(frozen=True)
class Commands:
    """The commands of a collection with their flags, and by command the flag that takes its positional words."""

    contexts: Mapping[str, ParserContext]
    positional: Mapping[str, str]
    families: Collection[str]


def commands(collection: TaskCollection, parsed: Iterable[ParserContext]) -> Commands:
    """What there is to type: the commands of a collection, and their flags."""
    contexts = {str(context.name): context for context in parsed}
    positional = {name: str(getattr(collection[name], "positional_flag", "")) for name in contexts}
    return Commands(contexts, positional, tuple(collection.collections))


def expand(words: Sequence[str], known: Commands) -> list[str]:
    """The words for Invoke's parser.

    `deploy auth` is `deploy --service auth`, but a word that is a command is a command: `deploy status` is both. Behind
    a family, the next word completes the name: `cluster start` is `cluster.start`. Raises ParseError for a flag that is
    given two different values.
    """
    waiting = deque(words)
    found: list[str] = []
    command, positional = ParserContext(), ""
    given: dict[str, str] = {}

    def give(argument: Argument, value: str) -> None:
        name = argument.names[0]
        if argument.kind is not list and given.setdefault(name, value) != value:
            flag = f"--{name}" if len(name) > 1 else f"-{name}"
            raise ParseError(f"{flag} is given twice: {given[name]} and {value}", command)

    while waiting:
        word = waiting.popleft()
        name = f"{word}.{waiting.popleft()}" if waiting and f"{word}.{waiting[0]}" in known.contexts else word
        flag, equals, value = word.partition("=")
        argument = argument_of(command, flag)
        if word == "--":
            return [*found, word, *waiting]
        if word.startswith("-"):
            found.append(word)
            if argument and argument.takes_value:
                if not equals and waiting and waiting[0].partition("=")[0] not in command.flags:
                    value = waiting.popleft()
                    found.append(value)
                give(argument, value)
        elif name in known.contexts:
            command, positional, given = known.contexts[name], known.positional[name], {}
            found.append(name)
        elif positional:
            give(command.flags[f"--{positional}"], word)
            found += [f"--{positional}", word]
        else:
            found.append(word)
    return found


def argument_of(command: ParserContext, flag: str) -> Argument | None:
    """What `--flag` or `-f` is for; None if it is no flag. (Invoke's `flags.get` knows no short names.)"""
    if flag in command.flags:
        found: Argument = command.flags[flag]
        return found
    return None


def hint(error: ParseError, found: TaskCollection, services: Collection[str], environments: Collection[str]) -> str:
    """What to type instead of what could not be parsed."""
    names = [one for one in found.task_names if one not in DESTRUCTIVE]
    name = error.context.name if error.context else None
    unknown = re.search(r"No idea what '(.+)' is", str(error))
    word = unknown[1] if unknown else ""
    if word.startswith("-"):
        flags = [flag for flag in (error.context.flags if name and error.context else ()) if flag.startswith("--")]
        if near := difflib.get_close_matches(word, flags, n=1, cutoff=0.6):
            return f"did you mean {near[0]}?"
    elif word in services:
        return f"{word} is a service: ./invoke deploy {word}, ./invoke logs {word}"
    elif word in environments:
        return f"{word} is an environment: ./invoke {name or 'deploy'} --env {word}"
    elif word in found.collections:
        return f"./invoke {word}"
    elif near := difflib.get_close_matches(word, names, n=1, cutoff=0.7):
        return f"did you mean {near[0]}?"
    return f"./invoke --help {name}" if name else "./invoke --list"
