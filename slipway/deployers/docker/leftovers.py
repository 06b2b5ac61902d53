"""What smoke tests of ended runs of this machine left: runs that were killed, and containers whose time has passed."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.docker.labels import OWNER, ROLE, Names, left_behind, owner
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container, State
from slipway.engine.threads import Threads

TIME = "%Y%m%dT%H%M%SZ"
WARM = re.compile(r"_warm_(\d+)of(\d+)_until_(\d{8}T\d{6}Z)$")
RUN = re.compile(r"_smoke_(\d+)$")


@dataclass(frozen=True)
class Warm:
    """What the name of a container that is kept for the next smoke test says: it is one of so many, until then."""

    number: int
    of: int
    until: datetime

    def name(self, names: Names, service: str) -> str:
        """The whole name: hh_auth_warm_1of5_until_20261130T012109Z."""
        return f"{names.short}_{service}_warm_{self.number}of{self.of}_until_{self.until.strftime(TIME)}"

    @property
    def expired(self) -> bool:
        """Whether it is to be removed."""
        return self.until < datetime.now(UTC)


def warm(container: Container) -> Warm | None:
    """What the name of a container says that is kept for the next smoke test; None of any other."""
    found = WARM.search(container.name) if container.labels.get(ROLE) == "smoke" else None
    if found is None:
        return None
    number, of, until = found.groups()
    return Warm(int(number), int(of), datetime.strptime(until, TIME).replace(tzinfo=UTC))


def remove_leftovers(daemon: Daemon, names: Names, state: State, others: Collection[Container] = ()) -> None:
    """Remove what smoke tests of ended runs left, what was kept and whose time has passed, and these `others`.

    Their networks go with the last of them.
    """
    gone = {one.id: one for one in (*leftover_containers(state), *others)}
    remove_containers(daemon, gone)
    used = {network for one in state.containers if one.id not in gone for network in one.aliases}
    prefix = f"{names.project}-smoke-"
    for network in (one for one in state.networks if one.startswith(prefix) and one not in used):
        if left_behind({OWNER: owner(network.removeprefix(prefix))}):
            daemon.networks.remove(network)


def remove_containers(daemon: Daemon, containers: Collection[str]) -> None:
    """Remove containers side by side. Raises Problem where one can't be removed."""
    threads = Threads(len(containers) or 1)
    for removal in [threads.submit(daemon.containers.remove, one) for one in containers]:
        removal.result()


def leftover_containers(state: State) -> list[Container]:
    """The containers of smoke tests whose run has ended, or whose time has passed."""
    return [one for one in state.containers if one.labels.get(ROLE) == "smoke" and _left(one)]


def _left(container: Container) -> bool:
    """Whether nobody has it any more. It belongs to the process in its name, which may have taken it over."""
    if found := warm(container):
        return found.expired
    run, machine = RUN.search(container.name), container.labels.get(OWNER, "").partition("@")[2]
    return left_behind({OWNER: f"{run[1]}@{machine}"} if run else container.labels)
