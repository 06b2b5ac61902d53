"""The test lab by hand: what tests use where only package registries can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.verb import verb

if TYPE_CHECKING:
    from slipway.steps import Say
    from tasks.command import Command


@verb(dir="the folder to fill")
def bundle(command: Command, dir: str = "") -> None:  # noqa: A002  the flag's name
    """Make an offline bundle from source: Kubernetes, minikube and the rest from their Go modules; cached by version.

    Example:
      ./invoke lab.bundle --dir ~/lab-bundle

    """
    from slipway.errors import ExitCode, Problem

    folder = command.folder(dir)
    if folder is None:
        raise Problem("which folder?", fix="--dir D", code=ExitCode.USAGE)
    done: list[bool] = []

    def act(say: Say) -> None:
        from tests.lab import bundle as made
        from tests.lab import machines

        machines.register()
        made.make(folder, say.note)
        done.append(True)

    command.alone("bundle", f"bundle in {folder}", act, done)


@verb()
def down(command: Command) -> None:
    """Take every machine of the lab away.

    Example:
      ./invoke lab.down

    """
    from tests.lab import machines

    command.session.say(f"{machines.remove_all()} machines removed")
