"""What every deployer, and what goes with it, does with a release of a service called `web`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Check, Service, Storage
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.deployments import Deployments
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem, UsageError

FAILING = {"it greets": "it was silent"}
CHECK = Check.model_validate({"name": "it greets", "curl": 'curl "$BASE/"', "expect": {"status": 200}})


def desired_release(
    deployments: Deployments[Any, Any], service: Service, image: str, source: str = "src1"
) -> DesiredRelease[Any]:
    """What a deploy of a service without secrets wants."""
    return DesiredRelease(service, source, {}, deployments.deployer.render(service, {}), "ann", image, "abc")


@dataclass
class Subject:
    """Deployments without `web`, what a deploy of it wants, and who answers its checks."""

    deployments: Deployments[Any, Any]
    desired: DesiredRelease[Any]
    checks: FakeCheckRunner
    storage: Mapping[str, Storage] = field(default_factory=lambda: {"data": Storage(path="/data")})

    def apply(self, desired: DesiredRelease[Any] | None = None, faults: Mapping[str, str] | None = None) -> None:
        """Deploy, with checks that find these faults."""
        self.checks.faults = dict(faults or {})
        try:
            self.deployments.deployer.apply(desired or self.desired, null_reporter())
        finally:
            self.deployments.state.forget()

    def changed(self, **settings: object) -> DesiredRelease[Any]:
        """The same service with other settings."""
        service = self.desired.service.model_copy(update=settings)
        return replace(self.desired, service=service, manifest=self.deployments.deployer.render(service, {}))

    def differs(self, desired: DesiredRelease[Any] | None = None) -> str | None:
        return self.deployments.deployer.differs(self.deployments.state.facts(), desired or self.desired)

    @property
    def running(self) -> int | None:
        self.deployments.state.forget()
        found = self.deployments.releases.running("web")
        return found.number if found else None

    @property
    def numbers(self) -> list[int]:
        self.deployments.state.forget()
        return [release.number for release in self.deployments.releases.history("web")]

    @property
    def known_services(self) -> frozenset[str]:
        self.deployments.state.forget()
        return self.deployments.operations.known_services()

    @property
    def generated(self) -> dict[str, str]:
        return self.deployments.secret_store.read(self.deployments.state.facts)


class DeployerContract:
    """A subclass has a fixture `made`: a `Subject` whose service has the check `it greets`."""

    def test_what_was_applied_runs_is_recorded_and_differs_no_more(self, made: Subject) -> None:
        assert made.differs() is not None
        made.apply()
        assert made.differs() is None
        (release,) = made.deployments.releases.history("web")
        assert (release.number, release.image, release.who) == (1, made.desired.image, "ann")
        assert release.checks == {"it greets": True}
        assert [(one.name, one.release, one.ready) for one in made.deployments.status.services()] == [("web", 1, 1)]
        assert made.differs(replace(made.desired, source="src2")) is not None
        assert made.differs(made.changed(env={"A": "b"})) is not None
        settings = "its settings or checks differ from the running release: checks"
        assert made.differs(made.changed(checks=(CHECK.model_copy(update={"name": "it works"}),))) == settings

    def test_a_release_that_fails_its_checks_is_rolled_back(self, made: Subject) -> None:
        made.apply()
        with pytest.raises(Problem, match="live checks failed") as caught:
            made.apply(replace(made.desired, source="src2"), FAILING)
        assert "it was silent" in caught.value.details
        assert (made.running, made.numbers) == (1, [1])
        assert made.differs() is None

    def test_a_first_release_that_fails_leaves_nothing(self, made: Subject) -> None:
        with pytest.raises(Problem, match="live checks failed"):
            made.apply(faults=FAILING)
        assert (made.running, made.numbers, list(made.deployments.status.services())) == (None, [], [])

    def test_a_rollback_runs_an_earlier_release_under_its_own_number(self, made: Subject) -> None:
        made.apply()
        made.apply(replace(made.desired, source="src2"))
        assert (made.running, made.numbers) == (2, [2, 1])
        releases = made.deployments.releases
        made.deployments.deployer.rollback(releases.earlier("web", None), lambda _: {}, null_reporter())
        assert (made.running, made.numbers) == (1, [2, 1])
        with pytest.raises(Problem) as caught:
            releases.earlier("web", 9)
        assert (type(caught.value), caught.value.hint) == (UsageError, "kept releases: 2, 1")

    def test_secrets_are_stored_beside_those_that_are_stored_by_now(self, made: Subject) -> None:
        for values in ({"web.KEY": "first"}, {"web.KEY": "second", "web.OTHER": "other"}):
            made.deployments.secret_store.store(values, null_reporter())
        made.deployments.state.forget()
        assert made.generated == {"web.KEY": "first", "web.OTHER": "other"}

    def test_down_keeps_secrets_and_history_and_purge_removes_them(self, made: Subject) -> None:
        made.deployments.secret_store.store({"web.KEY": "geheim"}, null_reporter())
        made.apply()
        made.deployments.operations.down(["web"], null_reporter())
        assert (made.running, made.numbers, list(made.deployments.status.services())) == (None, [1], [])
        assert made.generated == {"web.KEY": "geheim"}
        assert made.known_services == {"web"}
        made.deployments.operations.purge(["web"], everything=True, report=null_reporter())
        assert (made.numbers, made.generated, made.known_services) == ([], {}, frozenset())

    def test_what_a_failed_first_release_leaves_is_purged(self, made: Subject) -> None:
        with pytest.raises(Problem, match="live checks failed"):
            made.apply(made.changed(storage=made.storage), FAILING)
        left, operations = [*made.known_services], made.deployments.operations
        operations.down(left, null_reporter())
        operations.purge(left, everything=False, report=null_reporter())
        deadline = time.monotonic() + 20  # a cluster deletes a claim in the background
        while made.known_services and time.monotonic() < deadline:
            time.sleep(0.1)
        assert made.known_services == frozenset()
