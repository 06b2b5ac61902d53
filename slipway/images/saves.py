"""Saved files: the operating system says that something was written, and the files themselves say what changed.

What editors, builds and Git write beside the sources, and how (in place, by renaming, in bursts), therefore does not
matter: only files whose content differs from what was read before have been saved.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, Problem
from slipway.images.source_digest import is_scratch, read_source
from slipway.images.sources import changed_at

QUIET = 50  # milliseconds without another write, after which a burst has ended
BURST = 400  # milliseconds after which it is looked at all the same
LOOK = 1000  # milliseconds between two looks at whether what is watched is still there
CLOCK = 0.01  # seconds by which a file system's clock may be behind
Events = set[tuple[Any, str]]  # watchfiles' Change, and the path
UNWATCHED = frozenset({".git", ".slipway", "target"})  # written all the time, and no sources


@dataclass(frozen=True)
class Snapshot:
    """What files contained, as a digest by path, `taken` at a time (in seconds, `time.time()`)."""

    taken: float = 0.0
    digests: Mapping[Path, str] = field(default_factory=dict)

    def saved(self, now: Snapshot) -> list[Path]:
        """The files that have other contents in a later snapshot, or came or went, sorted.

        One that was not read before has come only if it was written since: a build may learn of further sources.
        """
        common = self.digests.keys() & now.digests.keys()
        changed = {path for path in common if self.digests[path] != now.digests[path]}
        gone = {path for path in self.digests.keys() - now.digests.keys() if not path.exists()}
        folders = {folder for path in self.digests for folder in path.parents}
        came = {path for path in now.digests.keys() - self.digests.keys() if self._written_since(path, folders)}
        return sorted(changed | gone | came)

    def _written_since(self, path: Path, known: Collection[Path]) -> bool:
        """Whether a file, or one of its folders that are not known, was written or renamed since."""
        unknown = (folder for folder in path.parents if folder not in known)
        return any(changed_at(one) >= self.taken for one in (path, *unknown))

    def older(self, earlier: Snapshot) -> Snapshot:
        """It, with what an earlier one has of the same files: what was saved in between counts as saved."""
        taken = earlier.taken or self.taken
        return Snapshot(taken, {path: earlier.digests.get(path, digest) for path, digest in self.digests.items()})


def take(files: Iterable[Path]) -> Snapshot:
    """The snapshot of these files as they stand. Raises UsageError for one that can't be read."""
    taken = time.time() - CLOCK
    return Snapshot(taken, {path: digest for path in files if (digest := _digest(path))})


def _digest(path: Path) -> str:
    """A digest of a file, or of where a link points to; empty where there is nothing."""
    return hashlib.sha256(read_source(path)).hexdigest() if os.path.lexists(path) else ""


class SaveWatcher:
    """Wakes up who waits when something below some paths may have been saved. `watch` names the paths, any time."""

    def __init__(self) -> None:
        self._paths: tuple[Path, ...] = ()
        self._woken, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def watch(self, paths: Iterable[Path]) -> None:
        """Watch these folders and files, whether they are there or not, in place of those before."""
        self._paths = _topmost(paths)

    def wait(self, cancel: Cancel) -> None:
        """Wait until something may have been saved since the last time. Raises Cancelled as soon as it is to end."""
        unregister = cancel.on_request(self._woken.set)
        try:
            self._woken.wait()
            self._woken.clear()
        finally:
            unregister()
        cancel.check()

    def _run(self) -> None:
        """Watch what is there, from the beginning again when that is something else."""
        from watchfiles import Change, watch  # here, since most commands watch nothing

        while not self._ended.is_set():
            watched = self._present()
            if not watched:
                self._ended.wait(LOOK / 1000)
                continue
            changes = watch(
                *(path for path, _ in watched),
                watch_filter=self._may_be_source,
                step=QUIET,
                debounce=BURST,
                rust_timeout=LOOK,
                yield_on_timeout=True,
                stop_event=self._ended,
                raise_interrupt=False,
            )
            try:
                removed = {(Change.deleted, str(path)) for path, _ in watched}
                with closing(changes):
                    self._pass_on(changes, watched, removed)
            except OSError:  # what was to be watched has gone just now
                self._ended.wait(LOOK / 1000)

    def _pass_on(self, changes: Iterable[Events], watched: object, removed: Events) -> None:
        """Wake up at each change, and at the first look: what was written before anything was watched is seen then.

        It ends when something else is to be watched, maybe with the same inode, if one of `removed` says that it went.
        """
        first = True
        for change in changes:
            if change or first:
                self._woken.set()
            first = False
            if self._present() != watched or not removed.isdisjoint(change):
                self._woken.set()
                return

    def _present(self) -> list[tuple[Path, int]]:
        """What is there of the watched paths, with its inode: one that was made anew must be watched anew."""
        return [(path, path.stat().st_ino) for path in self._paths if path.exists()]

    def _may_be_source(self, _: object, path: str) -> bool:
        root = next((root for root in self._paths if Path(path).is_relative_to(root)), None)
        parts = Path(path).relative_to(root).parts if root else ()
        return not (UNWATCHED.intersection(parts) or any(map(is_scratch, parts)))


def _topmost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Absolute paths without those below another one, each once."""
    resolved = sorted({path.resolve() for path in paths})
    return tuple(p for p in resolved if not any(p != other and p.is_relative_to(other) for other in resolved))


@dataclass
class SavedFiles:
    """The files of a list that were saved since they were `read` last. A watcher says when to look."""

    watcher: SaveWatcher
    files: Callable[[], Iterable[Path]] = tuple
    read: Snapshot = field(default_factory=Snapshot)

    def now(self) -> Snapshot:
        """The files as they stand; none of them where that can't be read: who works with them says why."""
        try:
            return take(self.files())
        except Problem:
            return Snapshot(self.read.taken)

    def found(self) -> list[Path]:
        """Those that were saved."""
        return self.read.saved(self.now())

    def wait(self, cancel: Cancel) -> list[Path]:
        """The same, as soon as there are any. Raises Cancelled when it is to end."""
        while not (found := self.found()):
            self.watcher.wait(cancel)
        return found

    @contextmanager
    def cancelling(self, run: Cancel) -> Iterator[None]:
        """Ask `run` to end when something is saved in the meantime."""
        ended = Cancel()
        waiting = threading.Thread(target=self._cancel_at_save, args=(run, ended), daemon=True)
        waiting.start()
        try:
            yield
        finally:
            ended.request()
            waiting.join()

    def _cancel_at_save(self, run: Cancel, ended: Cancel) -> None:
        with suppress(Cancelled):
            self.wait(ended)
            run.request()
