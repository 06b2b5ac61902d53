"""A service under development: in its own image beside what it needs, with a REPL that evaluates what is saved."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.dev_run import FOLDER, DevRun
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Step
from slipway.errors import NextCommand, Problem, UsageError
from slipway.flows.build import build, image
from slipway.flows.repl import SERVER, SERVER_PATH, Evaluated, Ports, Repl, connect, java_options
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService
from slipway.flows.smoke import generate_secrets
from slipway.flows.workspace import Workspace
from slipway.images.class_path import SourceFolders, source_folders
from slipway.images.saves import SavedFiles, take
from slipway.images.source_digest import read_source
from slipway.images.sources import changed_at

NO_FOLDERS = SourceFolders()


def dev(work: Workspace, selection: Selection, session: DevSession) -> Iterator[AnyNode]:
    """Every node until the service runs. Its jar is built even where its image is there: it shows the class path."""

    def built(service: AnyService) -> bool:
        return bool(work.artifacts.image(service)) and service is not session.service

    service = session.service
    yield generate_secrets(work, selection.tested)
    yield from build(work, selection.tested, skip=built)
    yield from image(work, selection.tested)
    yield StartService(
        group=service.name,
        name="dev",
        title=f"{service.name}: start with a REPL",
        probe=work.build.state,
        after=("secrets", *(f"{one.name}/image" for one in selection.tested), f"{service.name}/jar"),
        session=session,
    )


@dataclass(frozen=True)
class Reloaded:
    """What came of saved files. `deleted` and `at_next_start` are paths; it was evaluated `seconds` after the save."""

    evaluated: Evaluated
    deleted: tuple[Path, ...]
    at_next_start: tuple[Path, ...]
    seconds: float


@dataclass
class DevSession:
    """One service under development on this machine's Docker, until the workspace closes; `saves` are of its files."""

    work: Workspace
    selection: Selection
    service: AnyService
    saves: SavedFiles
    nrepl: bool = False
    _folders: SourceFolders = NO_FOLDERS
    _unevaluated: set[str] = field(default_factory=set)  # saved, and an error came first
    _started: list[tuple[DevRun, Repl]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.service.settings.has_jar:
            return
        name = self.service.name
        hint, commands = (
            "others are deployed after each save",
            [NextCommand("deploy", {"service": name, "watch": True})],
        )
        raise UsageError(f"{name} is not built as a jar: dev is for services in Clojure", hint=hint, commands=commands)

    @property
    def ports(self) -> Ports:
        """The REPLs' ports in the container."""
        return Ports.beside(self.service.settings.port)

    @property
    def started(self) -> bool:
        """Whether the service runs."""
        return bool(self._started)

    @property
    def run(self) -> DevRun:
        """The containers."""
        return self._started[0][0]

    def start(self, report: Reporter) -> None:
        """Start the service from its sources as they stand, and what it needs, and connect to its REPL."""
        sources, ports = self.service.sources.facts(), self.ports
        self.saves.files, self.saves.read = self._files, take(sources.files)
        self.saves.watcher.watch(file.parent for file in sources.files)
        if sources.jar:
            self._folders = source_folders(sources.jar, sources.files)
        run = self._containers(sources.files)
        self.work.closing.callback(run.close)
        run.start(report)
        repl, self.nrepl = connect(self.service.name, run.published(ports.tool), ports, report.cancel)
        self.work.closing.callback(repl.close)
        self._started.append((run, repl))

    def _containers(self, files: Sequence[Path]) -> DevRun:
        """The containers of the session: the service's own gets its sources from `files`."""
        work, services, ports = self.work, {one.name: one for one in self.selection.tested}, self.ports
        texts = {path: read_source(file) for path, file in self._folders.paths(files).items()}

        def desired(name: str) -> DesiredRelease[Any]:
            return replace(services[name].release.facts(), image=work.artifacts.image(services[name]) or "")

        def needs(name: str) -> tuple[str, ...]:
            return services[name].needs

        return DevRun(
            work.build.docker,
            work.names,
            desired,
            needs,
            set,
            work.build.checks,
            name=self.service.name,
            java_options=java_options(FOLDER, ports),
            ports=(ports.repl, ports.tool, ports.nrepl),
            files={**texts, SERVER_PATH: SERVER.read_bytes()},
        )

    def _files(self) -> Sequence[Path]:
        return self.service.read().files

    def reload(self) -> Reloaded:
        """Have the service evaluate what was saved, and what an error kept from it before."""
        now = self.saves.now()
        saved = self.saves.read.saved(now)
        self.saves.read = now
        present = self._folders.paths(path for path in saved if path.exists())
        deleted = self._folders.paths(path for path in saved if not path.exists())
        moment = max(map(changed_at, present.values()), default=time.time())
        texts = {path: read_source(file).decode(errors="replace") for path, file in present.items()}
        evaluated = self._evaluate(texts, deleted.keys())
        others = tuple(path for path in saved if path not in {*present.values(), *deleted.values()})
        return Reloaded(evaluated, tuple(deleted.values()), others, time.time() - moment)

    def _evaluate(self, texts: Mapping[str, str], deleted: Collection[str]) -> Evaluated:
        run, repl = self._started[0]
        wanted = sorted((self._unevaluated | texts.keys()).difference(deleted))
        try:
            evaluated = repl.evaluate(texts, deleted, wanted)
        except Problem as problem:
            details = run.with_evidence(problem, self.service.name)
            raise Problem(problem.summary, details=details, hint=problem.hint) from problem
        self._unevaluated = {*evaluated.left}
        return evaluated

    def file(self, path: str) -> Path | None:
        """The source at a path on the class path."""
        return next((file for file in self.saves.read.digests if self._folders.path_of(file) == path), None)


@dataclass(frozen=True, kw_only=True)
class StartService(Step[Any]):
    """The service under development runs."""

    session: DevSession

    def check(self, facts: Any) -> Change | None:  # noqa: ARG002  it runs for this session alone
        """Whether it runs."""
        return None if self.session.started else Change("asked for")

    def apply(self, report: Reporter) -> None:
        """Start it."""
        self.session.start(report)
