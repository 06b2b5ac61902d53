"""A random walk over the commands of a day: on three services, compared with a model of what each command should leave.

The model is plain Python; what it says is held against exit codes, `status`, `history`, the answers of the services and
what the environment itself lists. The machine is the same for every kind of environment: `Services` is what differs.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration.project import Done, Project
from tests.integration.walk_model import (
    DONE,
    NAMES,
    USAGE,
    Content,
    Hand,
    Model,
)


class Services(Project, ABC):
    """A project of three services that need nothing of each other: how one kind of environment makes and shows them."""

    secret: str = ""  # the service that has a generated secret

    @property
    def service(self) -> Path:
        return self.folder / "services" / NAMES[0]

    @abstractmethod
    def write(self, name: str, content: Content) -> None:
        """Write a service's folder."""

    @abstractmethod
    def answer(self, name: str, content: Content) -> str:
        """What a running service of this content says."""

    @abstractmethod
    def text(self, content: Content) -> str:
        """What it should say."""

    @property
    @abstractmethod
    def hands(self) -> Mapping[str, Hand]:
        """What can be done to a service that runs."""

    @abstractmethod
    def disagreements(self, model: Model, status: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """What the environment has that neither the model nor `status` (by service) says, or the other way round."""

    @abstractmethod
    def everything(self) -> list[str]:
        """All that is left of the project."""

    @contextmanager
    def taken(self, name: str, content: Content) -> Iterator[bool]:
        """Another program has the port that a service is published on, where it is: whether it has."""
        del name, content
        yield False

    def remove(self, name: str) -> None:
        """Remove a service's folder."""
        shutil.rmtree(self.service.parent / name)


class Walk(RuleBasedStateMachine):
    """One walk; it begins and ends with nothing deployed."""

    service = st.sampled_from(NAMES)
    chosen = st.sampled_from(("", *NAMES))  # of `--service`; "" is all
    changes = st.one_of(
        st.fixed_dictionaries({"sources": st.integers(1, 3)}),
        st.fixed_dictionaries({"setting": st.sampled_from((1, 2, 3, 4, 0))}),
    )

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services, self.model = services, Model(services.secret)
        self.settled = False  # whether the environment was compared with the model since the last command
        for name, content in self.model.wanted.items():
            services.write(name, content)

    def teardown(self) -> None:
        """A purge leaves nothing, of services without a folder neither."""
        self.invoke(DONE, "down", "--purge")
        assert self.services.everything() == []

    def invoke(self, code: int, *words: str, service: str = "") -> Done:
        """Run a command that should end with this exit code."""
        named = ("--service", service) if service else ()
        done = self.services.invoke(*words, *named, "--output", "json")
        assert done.exit == code, f"{' '.join((*words, *named))}: {done.exit} instead of {code}\n{done.out}{done.err}"
        assert "Traceback" not in done.out + done.err
        self.settled = False
        return done

    @initialize()
    def first_deploy(self) -> None:
        self.deploy("")

    @rule(service=chosen)
    def deploy(self, service: str) -> None:
        planned = self.model.plan(service)
        self.invoke(planned, "deploy", "--plan", service=service)
        code = self.model.deploy(service)
        done = self.invoke(code, "deploy", service=service)
        if code == DONE:
            assert (done.events[-1]["changed"] == 0) == (planned == DONE), done.out
            self.invoke(DONE, "deploy", "--plan", service=service)

    @rule(service=service, change=changes)
    def edit_and_deploy(self, service: str, change: dict[str, int]) -> None:
        self.edit(service, change)
        self.deploy(service)

    @precondition(lambda self: self.model.idle)
    @rule(data=st.data())
    def deploy_on_a_taken_port(self, data: st.DataObject) -> None:
        service = data.draw(st.sampled_from(self.model.idle))
        with self.services.taken(service, self.model.wanted[service]) as taken:
            if taken:
                self.invoke(self.model.deploy_on_a_taken_port(service), "deploy", service=service)

    @rule(service=chosen, keep=st.booleans())
    def smoke(self, service: str, *, keep: bool) -> None:
        words = ("smoke", "--keep") if keep and {*self.model.chosen(service)} <= {*self.model.releases} else ("smoke",)
        self.invoke(self.model.smoke(service), *words, service=service)

    @precondition(lambda self: self.model.deployed)
    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        service = data.draw(st.sampled_from(sorted(self.model.deployed)))
        self.invoke(self.model.restart(service), "restart", service=service)

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        service = data.draw(st.sampled_from(sorted(self.model.releases)))
        to = data.draw(st.sampled_from((0, *sorted(self.model.releases[service]))))
        named = ("--to", str(to)) if to else ()
        self.invoke(self.model.rollback(service, to), "rollback", *named, service=service)

    @precondition(lambda self: self.model.deployed)
    @rule(service=chosen, plan=st.booleans())
    def down(self, service: str, *, plan: bool) -> None:
        if plan:
            self.invoke(self.model.down_plan(service), "down", "--plan", service=service)
        self.invoke(self.model.down(service), "down", service=service)

    @precondition(lambda self: self.model.releases)
    @rule(service=chosen)
    def purge(self, service: str) -> None:
        self.invoke(self.model.purge(service), "down", "--purge", service=service)
        if not self.model.releases and not self.model.secrets:
            assert self.services.everything() == []

    @rule(service=service, task=st.sampled_from(("restart", "rollback", "deploy", "smoke", "down")))
    def name_what_is_not_there(self, service: str, task: str) -> None:
        if not {service} & {*self.model.wanted, *self.model.deployed, *self.model.releases}:
            self.invoke(USAGE, task, service=service)

    @rule(service=service, change=changes)
    def edit(self, service: str, change: dict[str, int]) -> None:
        if service in self.model.wanted:
            self.write(service, replace(self.model.wanted[service], **change))

    @rule(service=service)
    def add_or_remove_a_folder(self, service: str) -> None:
        if service not in self.model.wanted:
            self.write(service, Content())
        elif len(self.model.wanted) > 1:
            del self.model.wanted[service]
            self.services.remove(service)

    def write(self, service: str, content: Content) -> None:
        self.model.wanted[service] = content
        self.services.write(service, content)

    @precondition(lambda self: any(one.state == "running" for one in self.model.deployed.values()))
    @rule(data=st.data())
    def by_hand(self, data: st.DataObject) -> None:
        running = [name for name, one in self.model.deployed.items() if one.state == "running"]
        service, hand = data.draw(st.sampled_from(sorted(running))), data.draw(st.sampled_from([*self.services.hands]))
        self.services.hands[hand].act(service)
        self.model.by_hand(service, self.services.hands[hand])
        self.settled = False

    @invariant()
    def the_environment_agrees_with_the_model(self) -> None:
        if self.settled:
            return
        with ThreadPoolExecutor(2) as pool:
            status, history = pool.map(lambda task: self.document(task), ("status", "history"))
        model, services = self.model, {one["name"]: one for one in status["services"]}
        assert {name: one["release"] for name, one in services.items()} == {
            name: one.number for name, one in model.deployed.items()
        }
        assert sorted((one["service"], one["number"], one["serving"]) for one in history["releases"]) == sorted(
            (name, number, name in model.deployed and model.deployed[name].number == number)
            for name, known in model.releases.items()
            for number in known
        )
        assert self.services.disagreements(model, services) == []
        for name, one in model.deployed.items():
            if one.state == "running" and not one.drift:
                content = model.releases[name][one.number].content
                assert self.services.answer(name, content) == self.services.text(content)
        self.settled = True

    def document(self, task: str) -> dict[str, Any]:
        """What `status` or `history` prints."""
        done = self.services.invoke(task, "--output", "json")
        assert (done.exit, "Traceback" in done.err) == (0, False), done.out + done.err
        return dict(done.events[0])


def walk(services: Services, examples: int, steps: int, seed: int | None = None) -> None:
    """Walk so many times, so many commands each; without a seed the same way every time. Raises what a walk found."""

    class WalkHere(Walk):
        def __init__(self) -> None:
            super().__init__(services)

    machine = WalkHere if seed is None else hypothesis.seed(seed)(WalkHere)
    run_state_machine_as_test(
        machine,
        _min_steps=steps - 1,  # else every other walk ends behind its first command
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=seed is None,
            database=None,
            phases=(hypothesis.Phase.generate,),  # to shrink a walk would take an hour
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
