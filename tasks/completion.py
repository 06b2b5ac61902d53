"""Completion: what can follow the words typed so far, and the scripts by which bash, zsh and fish ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from invoke import Collection
from invoke.exceptions import ParseError

from slipway.ui.views import OUTPUTS
from tasks import names
from tasks.command_line import argument_of, commands, expand
from tasks.task import SEVERAL

SCRIPTS = Path(__file__).parent / "completions"
VALUES: Mapping[str, Callable[[], Iterable[str]]] = {  # by flag, or by command and flag
    "service": names.services,
    "env": names.environments,
    "host": names.hosts,
    "output": lambda: OUTPUTS,
    "env.use name": lambda: names.BUILT_IN,
}


def script(shell: str) -> str:
    """What a shell reads to complete `invoke`. Raises ParseError for another shell than those there are."""
    shells = {path.suffix[1:]: path for path in SCRIPTS.iterdir()}
    if shell not in shells:
        raise ParseError(f"there is no completion for {shell}; there is for {', '.join(sorted(shells))}")
    return shells[shell].read_text()


def candidates(words: Sequence[str], collection: Collection) -> list[str]:
    """What the last word can become; the others are complete, and the program's name is not among them.

    Nothing where a file is wanted: the shell completes those.
    """
    *before, word = words or [""]
    if before[-1:] == ["="]:  # bash makes three words of --env=local
        before.pop()
    elif word == "=":
        word = ""
    known = commands(collection, collection.to_contexts())
    try:
        typed = expand(before, known)
    except ParseError:
        return []
    if "--" in typed:
        return []
    name = next((one for one in reversed(typed) if one in known.contexts), "")
    if not name:
        family = next((f"{one}." for one in typed[-1:] if one in known.families), "")
        typeable = (*known.contexts, *known.families)
        return _starting(word, (one.removeprefix(family) for one in typeable if one.startswith(family)))
    command = known.contexts[name]
    flag, equals, value = word.partition("=")
    if equals and flag in command.flags:
        return [f"{flag}={one}" for one in _values(name, str(command.flags[flag].name), value)]
    if word.startswith("-"):
        return _starting(word, [flag for flag in command.flags if flag.startswith("--") or word == flag])
    last = argument_of(command, typed[-1])
    if last and last.takes_value:
        return _values(name, str(last.name), word)
    return _values(name, known.positional[name], word) or _starting(word, known.contexts)


def _values(command: str, flag: str, word: str) -> list[str]:
    """The values of a command's flag that begin with `word`, which may be a list whose last name is unfinished."""
    read = VALUES.get(f"{command} {flag}") or VALUES.get(flag)
    if not read:
        return []
    done, comma, last = word.rpartition(",") if flag in SEVERAL else ("", "", word)
    return [f"{done}{comma}{one}" for one in _starting(last, read()) if one not in done.split(",")]


def _starting(word: str, found: Iterable[str]) -> list[str]:
    return sorted({one for one in found if one.startswith(word)})
