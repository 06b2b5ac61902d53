"""`--watch`: a command run again after each save of what it reads, one run at a time; the newest save wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from invoke import Exit

from slipway.config.files import configuration_files
from slipway.engine.events import Output
from slipway.errors import Cancelled, UsageError
from slipway.flows.selection import Selection
from slipway.images.saves import SavedFiles, SaveWatcher, take
from tasks.exit_codes import ExitCode
from tasks.invocation import Invocation
from tasks.paths import ROOT, shown_path

NAMED = 3  # so many saved files are named, and the others counted
Body = Callable[[Invocation, str], None]  # what is run of the services behind `--service`


def run_after_each_save(invocation: Invocation, body: Body, service: str) -> None:
    """Run the body now and after each save, each time as a command of its own, until Ctrl-C.

    A save while one runs ends that. Raises Exit where the first can't begin: a flag or the configuration is wrong.
    """
    if invocation.plan:
        raise UsageError("--watch deploys, and --plan changes nothing", hint="leave one of them out")
    with SaveWatcher() as watcher:
        repeated = Repeated(invocation, body, service, SavedFiles(watcher))
        if repeated.run() == ExitCode.USAGE:
            raise Exit(code=int(ExitCode.USAGE))
        while True:
            if not (saved := repeated.saves.found()):
                said = Output(invocation.name, "note", "waiting for the next save")
                invocation.session.print_line(said, f"{said.text} (press Ctrl-C to stop)")
                saved = repeated.saves.wait(invocation.cancel)
            invocation.session.print_line(Output(invocation.name, "note", f"saved: {_named(saved)}"))
            repeated.run()


@dataclass
class Repeated:
    """The runs of one command. `saves` are those since the last run began, of what it is about."""

    invocation: Invocation
    body: Body
    service: str
    saves: SavedFiles

    def run(self) -> int:
        """One run from its call to its exit code, as any other command. Raises Cancelled after a signal."""
        from tasks.execution import execute

        self.saves.read = self.saves.now()
        own, code = {"service": self.service}, 0
        begun: list[Invocation] = []

        def body(invocation: Invocation, service: str) -> None:
            begun.append(invocation)
            self._run(invocation, service)

        try:
            execute(body, self.invocation.name, self.invocation.flags, own)
        except Exit as ended:
            code = ended.code
        if any(one.signals.received for one in begun):
            raise Cancelled
        return code

    def _run(self, invocation: Invocation, service: str) -> None:
        """Read what the run is about, and run; a save meanwhile ends it."""
        selection, saves = invocation.selection(service), self.saves
        saves.files = _files(invocation, selection)
        saves.read = take(saves.files()).older(saves.read)
        saves.watcher.watch(_watched(invocation, selection))
        with saves.cancelling(invocation.cancel):
            self.body(invocation, service)


def _files(invocation: Invocation, selection: Selection) -> Callable[[], list[Path]]:
    """What reads the list of files that a run of these services is made of: sources and configuration."""
    folders, services = _settings(invocation), invocation.config.folder

    def files() -> list[Path]:
        sources = (path for service in selection.chosen for path in service.read().files)
        return [*configuration_files(folders, services), *sources]

    return files


def _watched(invocation: Invocation, selection: Selection) -> Iterable[Path]:
    """The folders and files in which all of that is."""
    sources = (path for one in selection.chosen for path in (one.settings.folder, *one.settings.shared))
    outside = (path.parent for one in selection.chosen for path in one.sources.facts().files)
    return [*_settings(invocation), invocation.config.folder, *sources, *outside]


def _settings(invocation: Invocation) -> list[Path]:
    own = invocation.settings_folder
    return [ROOT / "config", *([own] if own else [])]


def _named(paths: list[Path]) -> str:
    names = [shown_path(path) for path in paths[:NAMED]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
