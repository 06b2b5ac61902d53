"""What every target does with a release of a service called `web`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.deployers.deployer import Target, Verdict, Wanted
from slipway.engine.steps import null_reporter
from slipway.errors import Problem, UsageError

PASSING, FAILING = Verdict({"it greets": True}), Verdict({"it greets": False}, "it was silent")


def apply(target: Target, wanted: Wanted, verdict: Verdict = PASSING) -> None:
    target.apply(wanted, lambda *_: verdict, null_reporter())
    target.probe.forget()


def serving(target: Target) -> int | None:
    target.probe.forget()
    found = target.serving("web")
    return found.number if found else None


def numbers(target: Target) -> list[int]:
    target.probe.forget()
    return [release.number for release in target.history("web")]


class TargetContract:
    """A subclass has a fixture `made`: a target without `web`, and what a deploy to it wants."""

    def test_what_was_applied_serves_is_recorded_and_differs_no_more(self, made: tuple[Target, Wanted]) -> None:
        target, wanted = made
        assert target.differs(target.probe.facts(), wanted) is not None
        apply(target, wanted)
        assert target.differs(target.probe.facts(), wanted) is None
        (release,) = target.history("web")
        assert (release.number, release.image, release.who, release.checks) == (1, wanted.image, "ann", PASSING.checks)
        assert [(live.name, live.release, live.ready) for live in target.status()] == [("web", 1, 1)]
        assert target.differs(target.probe.facts(), replace(wanted, source="src2")) is not None
        changed = replace(wanted, service=wanted.service.model_copy(update={"env": {"A": "b"}}))
        assert target.differs(target.probe.facts(), changed) is not None

    def test_a_release_that_fails_its_checks_gives_way_to_the_one_before(self, made: tuple[Target, Wanted]) -> None:
        target, wanted = made
        apply(target, wanted)
        with pytest.raises(Problem, match="live checks failed") as caught:
            apply(target, replace(wanted, source="src2"), FAILING)
        assert "it was silent" in caught.value.details
        assert (serving(target), numbers(target)) == (1, [1])
        assert target.differs(target.probe.facts(), wanted) is None

    def test_a_first_release_that_fails_leaves_nothing(self, made: tuple[Target, Wanted]) -> None:
        target, wanted = made
        with pytest.raises(Problem):
            apply(target, wanted, FAILING)
        assert (serving(target), numbers(target), list(target.status())) == (None, [], [])

    def test_a_rollback_serves_an_earlier_release_under_its_own_number(self, made: tuple[Target, Wanted]) -> None:
        target, wanted = made
        apply(target, wanted)
        apply(target, replace(wanted, source="src2"))
        assert (serving(target), numbers(target)) == (2, [2, 1])
        target.rollback(target.earlier("web", None), lambda _: {}, lambda *_: PASSING, null_reporter())
        assert (serving(target), numbers(target)) == (1, [2, 1])
        with pytest.raises(Problem) as caught:
            target.earlier("web", 9)
        assert (type(caught.value), caught.value.hint) == (UsageError, "kept releases: 2, 1; --to names one")

    def test_down_keeps_secrets_and_history_and_purge_takes_them(self, made: tuple[Target, Wanted]) -> None:
        target, wanted = made
        target.keep({"web.KEY": "geheim"}, null_reporter())
        apply(target, wanted)
        target.down(["web"], null_reporter())
        assert (serving(target), numbers(target), list(target.status())) == (None, [1], [])
        assert target.generated(target.probe.facts()) == {"web.KEY": "geheim"}
        target.purge(["web"], everything=True, report=null_reporter())
        assert (numbers(target), target.generated(target.probe.facts())) == ([], {})
