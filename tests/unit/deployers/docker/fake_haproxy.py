"""A Docker in memory whose proxies answer as HAProxy does, and ask the container that has the name they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slipway.docker.fake import FakeContainerIO, FakeDaemon, Store
from slipway.engine.reporter import Reporter

SHOW = "show stat service 4 -1"


@dataclass
class Slots:
    """What a HAProxy knows of its two servers: their states, and what they still have to answer."""

    state: dict[str, str] = field(default_factory=lambda: {"a": "no check", "b": "MAINT"})
    requests: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})


class HaproxyIO(FakeContainerIO):
    """Whoever waits for requests sees one less each time. `stuck` proxies ask somebody else."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.store = store
        self.slots: dict[str, Slots] = {}  # by the id of the proxy's container
        self.stuck = False
        self.said: list[str] = []

    def execute(self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60) -> tuple[int, str]:
        if not container.endswith("_proxy"):
            return super().execute(container, argv, report, seconds)
        command = argv[-1]
        self.store.before("io.execute", command)
        report.cancel.check()
        found = self.store.container(container)
        if not found.running:
            return 1, "nc: can't connect to remote host"
        slots = self.slots.setdefault(found.id, Slots())
        if command == SHOW:
            return 0, self._statistics(dict(line.split("=", 1) for line in found.env), slots)
        self.said.append(command)
        _, _, server, _, state = command.split()
        slots.state[server.removeprefix("service/")] = {"ready": "no check", "drain": "DRAIN"}[state]
        return 0, ""

    def _statistics(self, env: dict[str, str], slots: Slots) -> str:
        asked = self.store.find(env["CONTAINER"])
        address = f"{asked.address['hh']}:{env['PORT']}" if asked and asked.running else ""
        if self.stuck:
            address = "192.0.2.250:80"
        rows = [f"service,{name},{slots.requests[name]},{state},{address}" for name, state in slots.state.items()]
        for name, state in slots.state.items():
            if state != "no check" and slots.requests[name]:
                slots.requests[name] -= 1
        return "\n".join(("# pxname,svname,scur,status,addr", *rows, ""))


class ProxiedDaemon(FakeDaemon):
    """The daemon; its operations are kept, and one of them may be the last."""

    def __init__(self) -> None:
        super().__init__()
        self.haproxy = HaproxyIO(self.store)
        self.io = self.haproxy
        self.operations: list[str] = []
        self.dies_at = -1
        self.store.hooks.append(self._count)

    def _count(self, operation: str) -> None:
        if len(self.operations) == self.dies_at:
            raise SystemExit("killed")
        self.operations.append(operation)
