"""What is told before a server answers the world."""

from __future__ import annotations

import pytest

from slipway.config.expose import Acme, Expose
from slipway.deployers.docker.edge import Edge, mend
from slipway.docker.fake import FakeDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.plan import plan
from slipway.engine.reporter import null_reporter
from slipway.engine.run import Run
from slipway.engine.steps import Probe
from slipway.errors import Unreachable
from slipway.flows import public_names
from slipway.flows.public_names import PublicFacts, PublicNames, public_facts
from slipway.hosts.fake import FakeHost
from tests.unit.deployers.docker.test_edge import exposed
from tests.unit.deployers.docker_subject import NAMES
from tests.unit.flows.workspaces import FACTS

DNS = {"api.example.org": ["192.0.2.7"], "box1": ["2001:db8::1"]}
SAID = b"""192.0.2.1 2001:db8::1
80
"""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(public_names, "addresses", lambda name: DNS.get(name, []))
    return FakeHost("box1", FACTS, {"sh": lambda _: (0, SAID, b"")})


def names_of(host: FakeHost, daemon: FakeDaemon, *wanted: str) -> Probe[PublicFacts]:
    return public_facts(host, "box1", Probe(lambda: daemon.state("hh")), NAMES, wanted)


def test_names_that_are_new_are_looked_up_and_the_ports_of_an_edge_that_is_not_there(host: FakeHost) -> None:
    facts = names_of(host, FakeDaemon(), "api.example.org", "more.example.org").facts()
    assert facts == PublicFacts(
        leads_to={"api.example.org": ["192.0.2.7"], "more.example.org": []},
        own=["2001:db8::1", "192.0.2.1", "2001:db8::1"],
        taken=[80],
    )


def test_of_a_server_that_answers_for_all_of_them_nothing_is_asked(host: FakeHost) -> None:
    daemon, edge = FakeDaemon(), Edge("slipway/base-edge:1", Acme())
    daemon.images.import_rootfs(b"edge", edge.image, [])
    exposed(daemon, "web", Expose(host="api.example.org"))
    mend(daemon, NAMES, edge, null_reporter())
    assert (names_of(host, daemon, "api.example.org").facts(), host.ran) == (PublicFacts(), [])
    facts = names_of(host, daemon, "api.example.org", "more.example.org").facts()
    assert (facts.leads_to, facts.taken) == ({"more.example.org": []}, []), "its own ports are not taken"


def test_a_taken_port_ends_a_run_and_names_that_lead_elsewhere_are_told(host: FakeHost) -> None:
    taken = PublicNames(name="names", title="public names", probe=Probe(PublicFacts), server="box1")
    with pytest.raises(Unreachable, match="port 80 of box1 is taken"):
        taken.verify(PublicFacts(taken=[80]))
    with pytest.raises(Unreachable, match="ports 80 and 443 of box1 are taken"):
        taken.verify(PublicFacts(taken=[80, 443]))
    names = {"a.example": ["192.0.2.7"], "b.example": [], "c.example": ["192.0.2.1"]}
    found = PublicFacts(leads_to=names, own=["192.0.2.9", "192.0.2.1"])
    told = [Output("names", "note", "a.example leads to 192.0.2.7; b.example has no address; box1 has 192.0.2.9: "
                                    "until that is mended in DNS, no certificate comes")]  # fmt: skip
    node = PublicNames(name="names", title="public names", probe=Probe(lambda: found), server="box1")
    events: list[Event] = []
    assert not plan([node], events.append).failures
    assert [event for event in events if isinstance(event, Output)] == told
    events.clear()
    assert not Run([node], events.append, Cancel()).go().failures
    assert [event for event in events if isinstance(event, Output)] == told
