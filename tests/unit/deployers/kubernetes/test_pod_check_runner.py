"""Whom checks from a pod are sent to: a new pod of the service."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from slipway.checks.report import CheckReport, CheckResult
from slipway.config.models import Check
from slipway.deployers.kubernetes import pod_check_runner
from slipway.deployers.kubernetes.namespace_scope import EarlyResult
from slipway.deployers.kubernetes.pod_check_runner import CURL, PodCheckRunner
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.host import Command, Result
from slipway.hosts.local import LocalHost
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


PASSED = CheckReport(tuple(CheckResult(check.name, "curl") for check in CHECKS))


@pytest.mark.parametrize(
    ("pod", "by_name", "asked", "sent_to"),
    [
        (PODS[1], True, 0, []),
        (PODS[1], False, 3, []),
        ("10.0.0.9:8080", True, 0, PODS[:1]),  # it is gone
        ("10.0.0.9:8080", False, 3, PODS[:1]),
    ],
)
@pytest.mark.usefixtures("settled")
def test_checks_that_passed_early_count_where_their_pod_is_one_of_the_services(
    report: tuple[Reporter, list[Event]], pod: str, by_name: bool, asked: int, sent_to: list[str]
) -> None:
    shell = Shell((0, b"404"), pods=dict.fromkeys(PODS, (0, b"404")))
    early = EarlyResult(pod, PASSED, by_name=by_name)
    found = PodCheckRunner(shell.run, WEB).run(CHECKS, {"BASE": BASE}, report[0], early)
    assert sum(command.argv[: len(CURL)] == CURL for command in shell.asked) == asked
    assert shell.connected_to == sent_to * len(CHECKS)
    told = [one.text for one in report[1] if isinstance(one, Output)]
    assert (found is PASSED, told[0]) == (
        not sent_to, "0 of 3 checks passed in 0.0 s" if sent_to else "3 of 3 checks passed while the rollout ended"
    )  # fmt: skip


@pytest.mark.parametrize(("by_name", "reached"), [((0, b"404"), True), ((7, b"000"), False), ((0, b"503"), False)])
def test_early_checks_go_to_a_pod_and_tell_whether_the_service_is_reached_by_its_name(
    report: tuple[Reporter, list[Event]], by_name: tuple[int, bytes], reached: bool
) -> None:
    shell = Shell(by_name, pods={PODS[1]: (0, b"404")})
    found = PodCheckRunner(shell.run, WEB).run_early(PODS[1], CHECKS, {"BASE": BASE}, report[0])
    assert (found.pod, found.by_name, shell.connected_to) == (PODS[1], reached, PODS[1:] * 3)
    assert len(found.checks.results) == 3


def test_a_pod_is_waited_for_until_it_answers_as_one_that_is_ready(report: tuple[Reporter, list[Event]]) -> None:
    statuses = [503, 404, 204]

    class Starting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/ready"
            self.send_response(statuses.pop(0))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        runner = PodCheckRunner(LocalHost().run, WEB)
        runner.wait_for_answer(f"127.0.0.1:{server.server_port}", "/ready", report[0])
        server.shutdown()
    assert statuses == []


def test_where_no_shell_waits_that_is_told(report: tuple[Reporter, list[Event]]) -> None:
    def refuse(command: Command, _: Reporter) -> Result:
        return Result(command, 127, b"", b"no sh")

    with pytest.raises(Problem, match="can't be asked directly") as raised:
        PodCheckRunner(refuse, WEB).wait_for_answer("10.0.0.7:8080", "/ready", report[0])
    assert raised.value.details == "no sh"
