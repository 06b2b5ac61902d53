"""A service under development: in its own image beside what it needs, with a REPL that evaluates what is saved."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slipway.deployers.dev_run import FOLDER, DevRun, DevSpec
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Precondition, Step
from slipway.errors import NextCommand, Problem, Unreachable, UsageError, deploy_command
from slipway.flows.build import build, image
from slipway.flows.deploy import running_needs
from slipway.flows.dev_environment import AnyRelease
from slipway.flows.repl import SERVER, SERVER_PATH, Evaluated, Ports, Repl, connect, java_options
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService
from slipway.flows.smoke import generate_secrets
from slipway.flows.workspace import Workspace
from slipway.images.class_path import SourceFolders, source_folders
from slipway.images.saves import SavedFiles, take
from slipway.images.source_digest import DEPLOYMENT_FILES, read_source
from slipway.images.sources import changed_at

NO_FOLDERS = SourceFolders()


def dev(work: Workspace, selection: Selection, session: DevSession) -> Iterator[AnyNode]:
    """Every node until the service runs. Its jar is built even where its image is there: it shows the class path."""

    def built(service: AnyService) -> bool:
        return bool(work.artifacts.image(service)) and service is not session.service

    service, started = session.service, work.dev.started(selection)
    conditions = tuple(_conditions(work, selection, session))
    yield from conditions
    after = tuple(node.id for node in conditions)
    yield generate_secrets(work, started, after=after)
    yield from build(work, started, after=after, skip=built)
    yield from image(work, started, after=after, skip=work.reusable_image)
    delivery = [replace(node, after=(f"{service.name}/image",)) for node in work.environment.deliver(service)]
    yield from delivery
    yield StartService(
        group=service.name,
        name="dev",
        title=f"{service.name}: start with a REPL",
        probe=work.build.state,
        after=(
            *("secrets", f"{service.name}/jar", *(node.id for node in delivery)),
            *(f"{one.name}/image" for one in started),
        ),
        session=session,
    )


def _conditions(work: Workspace, selection: Selection, session: DevSession) -> Iterator[AnyNode]:
    """What must run there before anything is built: a cluster, what is needed, the release whose traffic is taken."""
    preparation = tuple(work.environment.prepare((), ()))
    yield from preparation
    after = tuple(node.id for node in preparation)
    if work.dev.started(selection) != selection.tested:
        yield running_needs(work, selection, after)
    if session.intercept:
        yield ReleaseToIntercept(
            group=session.service.name,
            name="intercept",
            title=f"{session.service.name}: the release whose traffic is taken",
            probe=work.deployments.state,
            after=after,
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
    """One service under development, until the workspace closes; `saves` are of its files.

    `intercept`: it takes the traffic of the running release.
    """

    work: Workspace
    selection: Selection
    service: AnyService
    saves: SavedFiles
    intercept: bool = False
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
        return Ports.beside(self.service.settings.port, self.work.dev.address)

    @property
    def started(self) -> bool:
        """Whether the service runs."""
        return bool(self._started)

    @property
    def run(self) -> DevRun:
        """What was started."""
        return self._started[0][0]

    def start(self, report: Reporter) -> None:
        """Start the service from its sources as they stand, and what it needs, and connect to its REPL."""
        sources, ports = self.service.sources.facts(), self.ports
        self.saves.files, self.saves.read = self._files, take((*sources.files, *self._deployment_files))
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
        work, ports = self.work, self.ports
        texts = {path: read_source(file) for path, file in self._folders.paths(files).items()}

        def desired(name: str) -> AnyRelease:
            return work.desired(work.services[name])

        spec = DevSpec(
            java_options=java_options(FOLDER, ports),
            ports=(ports.repl, ports.tool, ports.nrepl),
            files={**texts, SERVER_PATH: SERVER.read_bytes()},
            intercept=self.intercept,
        )
        return work.dev.run(self.selection, desired, spec)

    def _files(self) -> Sequence[Path]:
        return (*self.service.read().files, *self._deployment_files)

    @property
    def _deployment_files(self) -> list[Path]:
        folder = self.service.settings.folder
        return [folder / name for name in sorted(DEPLOYMENT_FILES) if (folder / name).is_file()]

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

    def record(self, evaluated: Evaluated) -> None:
        """Note where the service runs what was evaluated in it."""
        if evaluated.namespaces:
            self.run.record(evaluated.namespaces)

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
class ReleaseToIntercept(Precondition[Any]):
    """The service is deployed: otherwise there is no traffic."""

    session: DevSession

    def verify(self, facts: Any) -> None:  # noqa: ARG002  the releases are read off the same state
        """Raise Unreachable that tells to deploy it."""
        work, name = self.session.work, self.group
        if work.deployments.releases.running(name) is None:
            summary = f"{name} is not deployed in {work.name}: there is no traffic to take"
            raise Unreachable(summary, commands=[deploy_command(name)])


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
