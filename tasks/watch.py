"""`--watch`: a command run again after each save of what it reads, one run at a time; the newest save wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from invoke import Exit

from slipway.config.files import configuration_files
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Output
from slipway.errors import Cancelled, Problem, UsageError
from slipway.flows.selection import Selection
from slipway.images.saves import SaveWatcher, Snapshot, take
from tasks.exit_codes import ExitCode
from tasks.invocation import Invocation
from tasks.paths import ROOT

NAMED = 3  # so many saved files are named, and the others counted
Body = Callable[[Invocation, str], None]  # what is run of the services behind `--service`


def run_after_each_save(invocation: Invocation, body: Body, service: str) -> None:
    """Run the body now and after each save, each time as a command of its own, until Ctrl-C.

    A save while one runs ends that. Raises Exit where the first can't begin: a flag or the configuration is wrong.
    """
    if invocation.plan:
        raise UsageError("--watch deploys, and --plan changes nothing", hint="leave one of them out")
    with SaveWatcher() as watcher:
        repeated = Repeated(invocation, body, service, watcher)
        if repeated.run() == ExitCode.USAGE:
            raise Exit(code=int(ExitCode.USAGE))
        while True:
            if not (saved := repeated.saved()):
                said = Output(invocation.name, "note", "waiting for the next save")
                invocation.session.print_line(said, f"{said.text} (press Ctrl-C to stop)")
                saved = repeated.wait(invocation.cancel)
            invocation.session.print_line(Output(invocation.name, "note", f"saved: {_named(saved)}"))
            repeated.run()


@dataclass
class Repeated:
    """The runs of one command. `_read` is what the last one was about, as it was when that began."""

    invocation: Invocation
    body: Body
    service: str
    watcher: SaveWatcher
    _files: Callable[[], Iterable[Path]] = tuple
    _read: Snapshot = field(default_factory=Snapshot)

    def run(self) -> int:
        """One run from its call to its exit code, as any other command. Raises Cancelled after a signal."""
        from tasks.execution import execute

        self._read = self._now()
        own, code = {"service": self.service}, 0
        nested: list[Invocation] = []

        def begun(invocation: Invocation, service: str) -> None:
            nested.append(invocation)
            self._begin(invocation, service)

        try:
            execute(begun, self.invocation.name, self.invocation.flags, own)
        except Exit as ended:
            code = ended.code
        if any(one.signals.received for one in nested):
            raise Cancelled
        return code

    def saved(self) -> list[Path]:
        """The files that were saved since the last run began."""
        return self._read.saved(self._now())

    def wait(self, cancel: Cancel) -> list[Path]:
        """The same, as soon as there are any. Raises Cancelled when it is to end."""
        while not (saved := self.saved()):
            self.watcher.wait(cancel)
        return saved

    def _begin(self, invocation: Invocation, service: str) -> None:
        """Read what the run is about, and run; a save meanwhile ends it."""
        selection = invocation.selection(service)
        self._files = _files(invocation, selection)
        self._read = take(self._files()).older(self._read)
        self.watcher.watch(_watched(invocation, selection))
        ended = Cancel()
        waiting = threading.Thread(target=self._end_at_save, args=(invocation.cancel, ended), daemon=True)
        waiting.start()
        try:
            self.body(invocation, service)
        finally:
            ended.request()
            waiting.join()

    def _end_at_save(self, run: Cancel, ended: Cancel) -> None:
        """Ask the run to end when something is saved, unless it has ended."""
        try:
            self.wait(ended)
        except Cancelled:
            return
        run.request()

    def _now(self) -> Snapshot:
        """What it would read now; nothing where that can't be read: what can't is said by the run."""
        try:
            return take(self._files())
        except Problem:
            return replace(self._read, digests={})


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
    """Files as people know them: from the checkout where they are in it."""
    names = [str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path) for path in paths[:NAMED]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
