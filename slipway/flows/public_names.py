"""What the world needs to reach exposed services of a server: names that lead there, and ports that are free."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from slipway.deployers.docker.edge import PORTS, exposures
from slipway.docker.labels import Names
from slipway.docker.state import State
from slipway.engine.reporter import null_reporter
from slipway.engine.steps import Precondition, Probe
from slipway.errors import Unreachable
from slipway.hosts.host import Command, Host

ASK = f"""hostname -I
for port in {" ".join(map(str, PORTS))}; do test -z "$(ss -Hltn sport = :$port)" || echo $port; done"""  # who listens


@dataclass(frozen=True)
class PublicFacts:
    """Where names that are new to a server lead; its `own` addresses, first that of its SSH; taken ports."""

    leads_to: Mapping[str, Sequence[str]] = field(default_factory=dict)
    own: Sequence[str] = ()
    taken: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class PublicNames(Precondition[PublicFacts]):
    """The ports of an edge are free. Names that lead elsewhere are a warning: that may be about to change."""

    server: str

    def verify(self, facts: PublicFacts) -> None:
        """Raise Unreachable that names the ports."""
        if facts.taken:
            ports = " and ".join(map(str, facts.taken))
            which = (
                f"port {ports} of {self.server} is" if len(facts.taken) == 1 else f"ports {ports} of {self.server} are"
            )
            hint = f"find what listens there with `ss -ltnp` on {self.server}, and stop it"
            raise Unreachable(f"{which} taken, and exposed services answer there", hint=hint)

    def warning(self, facts: PublicFacts) -> str:
        """Which names lead elsewhere, and where to."""
        wrong = {name: found for name, found in facts.leads_to.items() if not {*found} & {*facts.own}}
        if not wrong:
            return ""
        told = [
            f"{name} leads to {', '.join(found)}" if found else f"{name} has no address"
            for name, found in wrong.items()
        ]
        own = f"{self.server} has {next(iter(facts.own), 'none')}"
        return f"{'; '.join([*told, own])}: until that is mended in DNS, no certificate comes"


def public_facts(
    server: Host, address: str, state: Probe[State], names: Names, wanted: Collection[str]
) -> Probe[PublicFacts]:
    """What is asked if the server does not answer for all `wanted` names yet. `address` is what it is reached by."""
    return Probe(partial(_ask, server, address, state, names, wanted))


def _ask(server: Host, address: str, state: Probe[State], names: Names, wanted: Collection[str]) -> PublicFacts:
    found = state.facts()
    edge = found.container(names.edge)
    answered = {one.how.host for one in exposures(found)} if edge else set()
    new = sorted({*wanted} - answered)
    if not new:
        return PublicFacts()
    own, *listening = server.run(Command(("sh", "-c", ASK)), null_reporter()).text.splitlines() or [""]
    return PublicFacts(
        leads_to={name: addresses(name) for name in new},
        own=[*addresses(address), *own.split()],
        taken=[] if edge and edge.running else [*map(int, listening)],
    )


def addresses(name: str) -> list[str]:
    """The addresses that a name has here, sorted."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except OSError:
        return []
