"""A step: one question (`check`) and one deed (`apply`), and the graph that steps make."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

from slipway.engine.events import Emit, Output, Progress
from slipway.errors import Cancelled

F = TypeVar("F")
P = ParamSpec("P")


@dataclass(frozen=True)
class Change:
    """What differs from what is wanted, said as the reason of a step."""

    reason: str


class Probe(Generic[F]):
    """Facts that many steps ask for and one reading answers.

    `facts()` reads at most once until `forget()`; threads that ask together wait for the same reading.
    """

    def __init__(self, read: Callable[[], F]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: list[F] = []

    def facts(self) -> F:
        """The facts, read now if they are not known. Raises whatever reading raises, and then knows nothing."""
        with self._lock:
            if not self._known:
                self._known.append(self._read())
            return self._known[0]

    def forget(self) -> None:
        """Make the next question read anew."""
        with self._lock:
            self._known.clear()


class ResourceLimit:
    """What only `width` steps at a time may use: a host's package manager (1), this machine's CPUs for Leiningen."""

    def __init__(self, name: str, width: int = 1) -> None:
        self.name = name
        self.lock = threading.BoundedSemaphore(width)


class Threads:
    """At most `width` works at once, each in a thread that the end of the process does not wait for."""

    def __init__(self, width: int) -> None:
        self._room = threading.Semaphore(width)

    def submit(self, work: Callable[P, F], *args: P.args, **kwargs: P.kwargs) -> Future[F]:
        """Begin the work as soon as there is room; its result, or what it raised, is the future's."""
        future: Future[F] = Future()

        def go() -> None:
            with self._room:
                try:
                    future.set_result(work(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001  raised where the result is asked for
                    future.set_exception(error)

        threading.Thread(target=go, daemon=True).start()
        return future


class Cancel:
    """Whether the run is to end, and what must be ended with it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._hooks: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether somebody asked the run to end."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask the run to end: every registered hook is called once, from this thread; one that fails stops no other."""
        self._event.set()
        with self._lock:
            hooks, self._hooks = self._hooks, []
        for hook in hooks:
            with contextlib.suppress(Exception):
                hook()

    def on_request(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` when the run is to end (at once if it already is); the result unregisters it."""
        with self._lock:
            if not self._event.is_set():
                self._hooks.append(hook)
                return lambda: self._discard(hook)
        hook()
        return lambda: None

    def _discard(self, hook: Callable[[], None]) -> None:
        with self._lock:
            if hook in self._hooks:
                self._hooks.remove(hook)

    def wait(self, seconds: float) -> None:
        """Sleep, or raise `Cancelled` as soon as the run is to end."""
        if self._event.wait(seconds):
            raise Cancelled

    def check(self) -> None:
        """Raise `Cancelled` if the run is to end."""
        if self._event.is_set():
            raise Cancelled


@dataclass(frozen=True)
class Reporter:
    """What a deed speaks through: output lines, progress, and whether it is to end."""

    id: str
    emit: Emit
    cancel: Cancel

    def note(self, text: str) -> None:
        """A line that Slipway says of the step."""
        self.emit(Output(self.id, "note", text))

    def output(self, stream: Any, text: str) -> None:
        """A line that a command printed."""
        self.emit(Output(self.id, stream, text))

    def progress(self, done: float, total: float, unit: str) -> None:
        """How far the step is."""
        self.emit(Progress(self.id, done, total, unit))


def null_reporter(cancel: Cancel | None = None) -> Reporter:
    """A `Reporter` that nobody hears, for questions."""
    return Reporter("", lambda _: None, cancel or Cancel())


@dataclass(frozen=True)
class Step(Generic[F]):
    """One question and one deed.

    `check(facts)` says what differs from what is wanted (None: nothing). `apply` mends it. The step has succeeded only
    when `check` is clean on facts read anew. `after` are the ids of steps that must have succeeded first. Checks are
    pure; a check that must act to know (run the live checks) puts that into its probe.
    """

    id: str
    title: str
    probe: Probe[F]
    check: Callable[[F], Change | None]
    apply: Callable[[Reporter], None]
    after: tuple[str, ...] = ()
    lane: ResourceLimit | None = None
    invalidates: tuple[Probe[Any], ...] = ()  # other facts that the deed changes


def once(
    id: str,  # noqa: A002  the step's
    title: str,
    act: Callable[[Reporter], None],
    *,
    wanted: Callable[[], object] = lambda: True,
    invalidates: tuple[Probe[Any], ...] = (),
) -> Step[None]:
    """A deed that somebody asks for, as a step: done when it was done, unless it is not `wanted` at all."""
    done: list[bool] = []

    def apply(report: Reporter) -> None:
        act(report)
        done.append(True)

    def differs(_: None) -> Change | None:
        return None if done or not wanted() else Change("asked for")

    return Step(id, title, Probe(lambda: None), differs, apply, invalidates=invalidates)


def ordered(steps: Iterable[Step[Any]]) -> list[Step[Any]]:
    """The steps in an order in which each comes behind what it waits for; otherwise as they were given.

    Raises ValueError for an id given twice, an unknown dependency, or a cycle: those are mistakes in a flow.
    """
    waiting = list(steps)
    ids = [step.id for step in waiting]
    if len(set(ids)) != len(ids):
        raise ValueError(f"two steps share an id: {min(i for i in ids if ids.count(i) > 1)}")
    done: set[str] = set()
    result: list[Step[Any]] = []
    while waiting:
        ready = next((step for step in waiting if done.issuperset(step.after)), None)
        if ready is None:
            raise ValueError(f"these steps wait for each other or for nothing that exists: {[s.id for s in waiting]}")
        waiting.remove(ready)
        done.add(ready.id)
        result.append(ready)
    return result
