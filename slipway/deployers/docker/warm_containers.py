"""Containers that a smoke test needed, kept warm for the next one: paused, for some minutes, within a bound of memory.

Those of one test are one set, on its network, and a project has one at most. Their names say that they are kept, and
until when. The next run, whatever it tests, uses those that are what it would start itself, under names of its own, and
removes the others. What has data gets that of a fresh start by the service's own commands (`Smoke`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from slipway.deployers.docker.leftovers import Warm, remove_containers, remove_leftovers, warm
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.deployers.docker.warm_set import Need, fitting, usable
from slipway.docker.labels import CONTENT, SERVICE, Names
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts import locks

WARM_FOR = timedelta(minutes=10)
MEMORY = 1536 * 2**20  # bytes: the sum of the limits of all that is kept, and no more than a quarter of the host's
COMMAND_TIMEOUT = 30  # seconds for a command that copies data or brings it back
READY_WITHIN = "10s"  # again, when it goes on; otherwise it is started anew

EndLater = Callable[[Names, datetime], None]  # see to it that what is kept until then is removed afterwards
Needs = Mapping[str, Need]  # by service, in the order in which they start


@dataclass(frozen=True)
class WarmContainers:
    """The warm containers of a project."""

    daemon: Daemon
    names: Names

    def take_over(self, needs: Needs, run_name: Callable[[str], str]) -> dict[str, Container]:
        """Those that a test with these needs can use, named as those of this run (`run_name`), all on one network.

        The others, and what ended runs left, are removed.
        """
        with self._alone():
            state = self.daemon.state(self.names.project)
            found = [one for one in state.containers if warm(one)]
            used = _usable(needs, found)
            remove_leftovers(self.daemon, self.names, state, [one for one in found if one.labels[SERVICE] not in used])
            try:
                for service, container in used.items():
                    self.daemon.containers.rename(container.id, run_name(service))
            except Problem:
                self.remove(used)
                return {}
        return used

    def wake(self, needs: Needs, containers: Mapping[str, Container], report: Reporter) -> None:
        """Let them go on, with fresh data, and wait until they are ready. Raises Problem where one is not."""
        for name in (one for one in needs if one in containers):
            container, service = containers[name], needs[name].service
            self.daemon.resources.unpause(container.id)
            if needs[name].has_data:
                self._execute(name, container.id, service.smoke.restore, report)
            url = f"http://127.0.0.1:{container.ports[service.port][1]}"
            soon = service.model_copy(update={"start_within": READY_WITHIN})
            wait_until_ready(self.daemon, container.id, soon, url, report)

    def snapshot(self, needs: Needs, containers: Mapping[str, str], report: Reporter) -> set[str]:
        """Copy the data of those that can be kept, which all services have just started on; those that can be kept.

        `containers` are ids. Raises Problem where a command fails.
        """
        memory = min(MEMORY, self.daemon.resources.memory() // 4)
        found = usable(needs, fitting(needs, memory), needs)
        for name in (one for one in needs if one in found and needs[one].has_data):
            self._execute(name, containers[name], needs[name].service.smoke.snapshot, report)
        return found

    def keep(self, containers: Mapping[str, str], end_later: EndLater) -> None:
        """Pause these (ids by service) and keep them for a while, in place of those that are. Raises Problem."""
        until = datetime.now(UTC) + WARM_FOR
        with self._alone():
            state = self.daemon.state(self.names.project)
            remove_leftovers(self.daemon, self.names, state, [one for one in state.containers if warm(one)])
            end_later(self.names, until)
            for number, (service, container) in enumerate(containers.items(), 1):
                self.daemon.resources.pause(container)
                name = Warm(number, len(containers), until).name(self.names, service)
                self.daemon.containers.rename(container, name)

    def remove_expired(self) -> None:
        """Remove those whose time has passed, and what ended runs left."""
        with self._alone():
            remove_leftovers(self.daemon, self.names, self.daemon.state(self.names.project))

    def remove(self, containers: Mapping[str, Container]) -> None:
        """Remove those that could not go on, and their network; what can't be removed now, a later run removes."""
        with suppress(Problem):
            remove_containers(self.daemon, [one.id for one in containers.values()])
        for network in {network for one in containers.values() for network in one.aliases}:
            with suppress(Problem):
                self.daemon.networks.remove(network)

    def _execute(self, name: str, container: str, command: Sequence[str], report: Reporter) -> None:
        exit_code, output = self.daemon.io.execute(container, command, report, COMMAND_TIMEOUT)
        if exit_code:
            raise Problem(f"{name}: `{' '.join(command)}` failed with exit code {exit_code}", details=output)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other run of the project takes over or keeps anything meanwhile."""
        report = null_reporter()
        path = locks.docker_lock_path(f"{self.names.project}-warm")
        with locks.file_lock(path, "another smoke test", report.note, report.cancel):
            yield


def _usable(needs: Needs, found: Sequence[Container]) -> dict[str, Container]:
    """Those that are what a test with these needs would start, by service; none where one of the set is missing."""
    kept = {one.labels[SERVICE]: one for one in found}
    names = [name for one in found if (name := warm(one))]
    whole = {(len(found), name.until) for name in names} == {(name.of, name.until) for name in names}
    if not whole or any(name.expired for name in names) or len({tuple(one.aliases) for one in found}) != 1:
        return {}
    same = [
        name
        for name, container in kept.items()
        if name in needs and container.labels.get(CONTENT) == needs[name].content and container.state == "paused"
    ]
    chosen = usable(needs, same, kept)
    return {name: kept[name] for name in needs if name in chosen}
