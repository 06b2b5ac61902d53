"""Whom checks from a pod are sent to: a new pod of the service."""

from __future__ import annotations

import pytest

from slipway.config.models import Check
from slipway.deployers.kubernetes import pod_check_runner
from slipway.deployers.kubernetes.pod_check_runner import CURL, PodCheckRunner
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.hosts.host import Command, Result
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster

BASE = "http://web.hh.svc:80"
CHECKS = [
    Check.model_validate({"name": name, "curl": f'curl "$BASE/{name}"', "expect": {"status": 200}}) for name in "abc"
]
PODS = ["10.0.0.7:8080", "[fd00::8]:8080"]
WEB = Workload(FakeCluster(), "hh", "hh", "web")


class Shell:
    """A pod without a shell, in which curl gets these exit codes and statuses: by name, and of each pod."""

    def __init__(self, *by_name: tuple[int, bytes], pods: dict[str, tuple[int, bytes]] | None = None) -> None:
        self.by_name, self.pods = list(by_name), pods or {}
        self.configs: list[str] = []
        self.asked: list[Command] = []

    def run(self, command: Command, _: Reporter) -> Result:
        self.asked.append(command)
        if command.argv == ("sh",):
            return Result(command, 127, b"", b"no sh")
        if command.argv == (*CURL, BASE):
            return Result(command, *self.by_name.pop(0), b"")
        if command.argv[: len(CURL)] == CURL:
            return Result(command, *self.pods[command.argv[-2].removeprefix("web.hh.svc:80:")], b"")
        self.configs.append(command.stdin.decode())
        return Result(command, 0, b"", b"")

    @property
    def connected_to(self) -> list[str]:
        """The pod that each check was sent to."""
        lines = [line for config in self.configs for line in config.splitlines() if line.startswith("connect-to")]
        return [line.removeprefix('connect-to = "web.hh.svc:80:').removesuffix('"') for line in lines]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The services whose routes were waited for, where the slices name `PODS`."""
    waited: list[str] = []
    monkeypatch.setattr(pod_check_runner, "pod_addresses", lambda *_: PODS)
    monkeypatch.setattr(pod_check_runner, "wait_until_routed", lambda workload, _: waited.append(workload.service))
    return waited


def test_checks_are_sent_to_a_new_pod(report: tuple[Reporter, list[Event]], settled: list[str]) -> None:
    shell = Shell((0, b"404"), pods=dict.fromkeys(PODS, (0, b"404")))
    PodCheckRunner(shell.run, WEB).run(CHECKS, {"BASE": BASE}, report[0])
    assert shell.connected_to == PODS[:1] * 3
    assert all(f'url = "{BASE}/' in config for config in shell.configs)
    assert not settled


@pytest.mark.parametrize("first", [(7, b"000"), (56, b"000"), (0, b"503")])
def test_a_pod_that_does_not_answer_as_the_service_does_is_left_out(
    report: tuple[Reporter, list[Event]], settled: list[str], first: tuple[int, bytes]
) -> None:
    shell = Shell((0, b"404"), pods={PODS[0]: first, PODS[1]: (0, b"404")})
    PodCheckRunner(shell.run, WEB).run(CHECKS, {"BASE": BASE}, report[0])
    assert (shell.connected_to, settled) == (PODS[1:] * 3, [])


@pytest.mark.parametrize("answer", [(56, b"000"), (0, b"503")])
def test_where_no_pod_can_be_asked_directly_the_nodes_are_waited_for(
    report: tuple[Reporter, list[Event]], settled: list[str], answer: tuple[int, bytes]
) -> None:
    shell = Shell((0, b"404"), pods=dict.fromkeys(PODS, answer))
    PodCheckRunner(shell.run, WEB).run(CHECKS, {"BASE": BASE}, report[0])
    assert (settled, shell.connected_to, len(shell.configs)) == (["web"], [], 3)


@pytest.mark.parametrize("code", [6, 7, 28])
def test_a_service_that_the_cluster_does_not_know_yet_is_waited_for(
    report: tuple[Reporter, list[Event]], settled: list[str], code: int
) -> None:
    shell = Shell((code, b"000"), (code, b"000"), (0, b"200"), pods=dict.fromkeys(PODS, (0, b"200")))
    PodCheckRunner(shell.run, WEB).run((), {"BASE": BASE}, report[0])
    assert (shell.by_name, settled) == ([], [])
    told = [one.text for one in report[1] if isinstance(one, Output) and "http" in one.text]
    assert told == [f"waiting for the cluster's DNS and its nodes to know {BASE}"]
