"""What the only smoke test of a run needs: as an earlier run kept it, and kept for the next one."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from slipway.deployers.docker.warm_containers import EndLater, Needs, WarmContainers
from slipway.docker.state import Container
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem


@dataclass
class WarmNeeds:
    """What `test` needs; nothing, of which nothing is kept, where a run has other tests too, or is to keep nothing."""

    warm: WarmContainers
    test: str = ""
    needs: Needs = field(default_factory=dict)
    end_later: EndLater | None = None
    _woken: tuple[str, ...] = ()
    _keepable: Mapping[str, str] | None = None  # ids by service; None: their data is still to be copied
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wake(self, found: Mapping[str, Container], report: Reporter) -> bool:
        """Let what was taken over go on, with fresh data. Where that fails, for any reason, all of it is removed."""
        try:
            self.warm.wake(self.needs, found, report)
        except Problem:
            self.warm.remove(found)
            return False
        self._woken = tuple(found)
        if found and found.keys() == self.needs.keys():
            self._keepable = {name: one.id for name, one in found.items()}  # they have the data that was copied
        return True

    def copy_data(self, ready: Collection[str], containers: Mapping[str, str], report: Reporter) -> None:
        """Copy the data that the test starts on, once, when all that it needs is `ready`. `containers` are ids."""
        with self._lock:
            if self._keepable is None and self.needs and self.needs.keys() <= set(ready):
                try:
                    found = self.warm.snapshot(self.needs, containers, report)
                    self._keepable = {name: containers[name] for name in self.needs if name in found}
                except ConnectionLost:
                    raise
                except Problem as problem:
                    self._keepable = {}
                    report.note(f"what it needs is not kept for the next test: {problem.summary}")

    def tell(self, report: Reporter) -> None:
        """Say what was there already."""
        if self._woken:
            report.note(f"kept warm since the last test: {', '.join(self._woken)}")

    def keep(self, containers: Mapping[str, str]) -> set[str]:
        """Keep those of these containers that can be kept; their services."""
        kept = self._keepable or {}
        if self.end_later and kept and kept.items() <= containers.items():  # none was started anew meanwhile
            with suppress(Problem):
                self.warm.keep(kept, self.end_later)
                return set(kept)
        return set()
