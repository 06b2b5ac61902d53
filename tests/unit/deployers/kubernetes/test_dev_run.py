"""A service under development on a cluster in memory: its pod, the traffic that it takes, and who gives that back."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Check, Service
from slipway.deployers.dev_run import DevSpec
from slipway.deployers.kubernetes import dev_run
from slipway.deployers.kubernetes.dev_run import DevPod
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import KINDS
from slipway.deployers.kubernetes.status import KubernetesStatus
from slipway.docker.archive import writable_tar
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import Command
from slipway.kubernetes import endpoints
from slipway.kubernetes.lease import process_identity
from slipway.kubernetes.manifests.dev_pod import FILL, WAIT
from slipway.kubernetes.manifests.labels import PROCESS, ROLE, labels
from slipway.kubernetes.objects import Object
from tests.unit.deployers.kubernetes.test_releases import Deploys
from tests.unit.kubernetes.fake_checks import FakeClusterChecks
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json

RELEASED = labels("hh", "web")  # what selects the copies
DEAD = 2**22 + 1  # more than any process's id


class Pods(FakeCluster):
    """A cluster whose dev pods wait for their sources and are ready with them; a Service reaches what it selects."""

    def __init__(self) -> None:
        super().__init__()
        self.filled: set[str] = set()
        self.waiting = ""  # why no init container starts
        self.lists = 0

    def _seen(self, live: Json) -> Json:
        found = super()._seen(live)
        if live["kind"] == "Pod":
            name = live["metadata"]["name"]
            state = {"waiting": {"reason": self.waiting}} if self.waiting else {"running": {}}
            first = {"name": "slipway-sources", "state": state}
            done = {"name": "slipway-sources", "state": {"terminated": {"exitCode": 0}}}
            own = {"name": "web", "ready": True, "state": {"running": {}}}
            ready = {"initContainerStatuses": [done], "containerStatuses": [own], "phase": "Running"}
            found["status"] = ready if name in self.filled else {"initContainerStatuses": [first], "phase": "Pending"}
        return found

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Object]:
        self.lists += 1
        if kind != "EndpointSlice":
            return super().list(api_version, kind, namespace, selector)
        ready = [{"targetRef": {"name": name}} for name in self.reached]
        return [{"endpoints": ready}]

    @property
    def service(self) -> Json:
        return self.objects["Service", "web"]

    @property
    def pods(self) -> Sequence[Json]:
        return [one for (kind, _), one in self.objects.items() if kind == "Pod"]

    @property
    def reached(self) -> Sequence[str]:
        """The pods that the Service sends requests to."""
        selector = self.service["spec"]["selector"].items()
        return [pod["metadata"]["name"] for pod in self.pods if selector <= pod["metadata"]["labels"].items()]


class Dev(Deploys):
    """Deploys, and sessions of the same service."""

    def __init__(self, folder: Path) -> None:
        self.pods = Pods()
        super().__init__(folder, self.pods)
        self.host = FakeHost("h", Facts("Linux", "x"), {"kubectl": self._kubectl})
        scope = NamespaceScope(self.pods, "hh", "hh", self.host, FakeClusterChecks(), "me@here (pid 1)")
        self.own_namespace = ProjectNamespace(scope, self.state)
        self.checks = FakeCheckRunner()

    def _kubectl(self, command: Command) -> tuple[int, bytes, bytes]:
        self.pods.filled.add(next(word for word in command.argv if word.startswith("web-dev-")))
        return 0, b"", b""

    def session(self, *, intercept: bool = False, **changes: Any) -> DevPod:
        spec = DevSpec("-Dx='$(y)'", (7700, 7701), {"shop/main.clj": b"(ns shop)"}, intercept=intercept)
        forward = self.operations.forward
        wanted = self.wanted(1, **changes)
        return DevPod(self.own_namespace, wanted, spec, self.checks, lambda _: "r/probe:1", forward)

    def started(self, *, intercept: bool = False, **changes: Any) -> DevPod:
        made = self.session(intercept=intercept, **changes)
        made.start(self.say)
        self.state.forget()
        return made

    def ended_elsewhere(self, pod: DevPod, identity: str) -> None:
        """Let a session's pod be of another process."""
        self.pods.objects["Pod", pod.name]["metadata"]["annotations"][PROCESS] = identity


@contextmanager
def _forwarded(_: object, __: object, ports: Sequence[int]) -> Iterator[dict[int, int]]:
    yield {port: port + 30_000 for port in ports}


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dev:
    monkeypatch.setattr(dev_run, "port_forwards", _forwarded)
    monkeypatch.setattr(endpoints, "SETTLE", 0.0)
    monkeypatch.setattr(endpoints, "TIMEOUT", 0.0)
    return Dev(tmp_path)


def status(dev: Dev) -> dict[str, Any]:
    dev.state.forget()
    (found,) = KubernetesStatus(dev.namespace).services()
    return dict(found.document())


def test_the_pod_is_a_copy_of_the_release_with_a_repl_that_no_selector_of_it_matches(dev: Dev) -> None:
    storage = {"data": {"path": "/data", "size": "1Gi"}}
    dev.deploy(1, storage=storage)
    session = dev.started(storage=storage)
    (pod,) = dev.pods.pods
    copy = dev.deployment["spec"]["template"]
    (own,), (released,) = pod["spec"]["containers"], copy["spec"]["containers"]
    for field in ("image", "resources", "securityContext", "ports", "readinessProbe", "envFrom"):
        assert own.get(field) == released.get(field)
    assert pod["spec"]["securityContext"] == copy["spec"]["securityContext"]
    assert not pod["spec"]["automountServiceAccountToken"]
    assert "livenessProbe" not in own
    assert {"name": "JAVA_TOOL_OPTIONS", "value": "-Dx='$$(y)'"} in own["env"]
    assert {"name": "data", "emptyDir": {}} in pod["spec"]["volumes"], "two pods never share a claim"
    given = pod["metadata"]["labels"].items()
    assert not RELEASED.items() <= given
    assert dev.pods.reached == []
    policy = {key: value for key, value in RELEASED.items() if not key.endswith("managed-by")}
    assert policy.items() <= given, "a NetworkPolicy that selects the copies by name holds for it"
    assert session.address == "http://127.0.0.1:38080"
    assert session.check(dev.say).ok


def test_the_sources_are_written_before_the_service_starts_and_are_on_no_command_line(dev: Dev) -> None:
    dev.deploy(1)
    dev.started()
    (ran,) = dev.host.ran
    with tarfile.open(fileobj=io.BytesIO(ran.stdin)) as archive:
        assert archive.getnames() == ["sources", "sources/shop", "sources/shop/main.clj"]
        assert archive.getmember("sources/shop/main.clj").mode == 0o666
    assert not any("ns shop" in word for word in ran.argv)


def test_the_service_starts_once_what_filled_its_sources_has_ended(tmp_path: Path) -> None:
    """With a container that ended before, the runtime would kill what fills it, which then seems to have failed."""
    folder = tmp_path / "volume"
    folder.mkdir()
    wait = subprocess.Popen(["sh", "-c", WAIT.format(folder=folder)])
    fill = FILL.format(folder=folder) + "; exec sleep 60"  # as if it took its time to end
    filling = subprocess.Popen(["sh", "-c", fill], stdin=subprocess.PIPE)
    try:
        assert filling.stdin
        filling.stdin.write(writable_tar({"sources/a.clj": b"(ns a)"}, 0o666))
        filling.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            wait.wait(1)
        assert (folder / "sources" / "a.clj").read_text() == "(ns a)"
    finally:
        filling.kill()
        filling.wait()
    assert wait.wait(10) == 0


def test_configuration_that_is_not_deployed_goes_with_the_pod_unless_a_release_comes_to_have_it(dev: Dev) -> None:
    dev.deploy(1)
    dev.started(env={"LEVEL": "debug"})
    (made,) = (one for (kind, _), one in dev.pods.objects.items() if kind == "ConfigMap")
    (pod,) = dev.pods.pods
    assert [one["uid"] for one in made["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]
    dev.deploy(2)
    name = made["metadata"]["name"]
    assert ("ConfigMap", name) in dev.pods.objects, "a deploy meanwhile leaves it to the pod"
    dev.deploy(3, env={"LEVEL": "debug"})
    meta = dev.pods.objects["ConfigMap", name]["metadata"]
    assert ("ownerReferences" in meta, ROLE in meta["labels"]) == (False, False)


def test_configuration_of_an_earlier_session_does_not_go_with_its_pod(dev: Dev) -> None:
    dev.deploy(1)
    dev.started(env={"LEVEL": "debug"}).close()
    dev.started(env={"LEVEL": "debug"})
    (pod,) = dev.pods.pods
    (config,) = (one for (kind, _), one in dev.pods.objects.items() if kind == "ConfigMap")
    assert [one["uid"] for one in config["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]


def test_a_session_takes_no_traffic_and_is_no_drift(dev: Dev) -> None:
    wanted = dev.deploy(1)
    session = dev.started()
    session.record(["shop.page", "shop.core"])
    assert dev.deployer.differs(dev.facts, wanted) is None
    found = status(dev)
    assert found["drift"] == ""
    assert [(one["name"], one["intercepts"], one["patched"]) for one in found["dev"]] == [
        (session.name, False, ["shop.core", "shop.page"])
    ]
    session.close()
    assert dev.pods.pods == []


def test_a_session_that_intercepts_takes_all_traffic_until_it_is_closed(dev: Dev) -> None:
    dev.deploy(1)
    session = dev.started(intercept=True)
    assert dev.pods.reached == [session.name]
    assert dev.started().name not in dev.pods.reached, "another session beside it takes none"
    session.close()
    assert dev.pods.service["spec"]["selector"] == RELEASED
    assert session.name not in [pod["metadata"]["name"] for pod in dev.pods.pods]


def test_a_pod_that_takes_traffic_is_drift_that_a_deploy_takes_back_and_no_copy_is_restarted(dev: Dev) -> None:
    wanted = dev.deploy(1)
    dev.started(intercept=True).record(["shop.page"])
    reason = "a dev pod takes its traffic; patched: shop.page"
    assert dev.deployer.differs(dev.facts, wanted) == reason
    assert status(dev)["drift"] == reason
    dev.pods.changes.clear()
    dev.deploy(1)
    done = [one for one in dev.pods.changes if "Lease" not in one]
    assert [one.split("-dev-")[0] for one in done] == ["patch Service web", "delete Pod web"]
    assert dev.pods.service["spec"]["selector"] == RELEASED
    assert dev.deployer.differs(dev.facts, wanted) is None
    assert [one.release.number for one in dev.facts.releases("web")] == [1]


@pytest.mark.parametrize("how", ["deploy", "rollback", "scale"])
def test_whatever_changes_the_service_takes_its_traffic_back(dev: Dev, how: str) -> None:
    dev.deploy(1)
    dev.deploy(2)
    dev.started(intercept=True)
    if how == "deploy":
        dev.deploy(3)
    elif how == "rollback":
        dev.rollback(1)
    else:
        dev.operations.scale(Service(name="web"), 2, dev.say)
    assert (dev.pods.service["spec"]["selector"], dev.pods.pods) == (RELEASED, [])


def test_traffic_that_goes_to_a_pod_that_somebody_deleted_is_drift_too(dev: Dev) -> None:
    wanted = dev.deploy(1)
    session = dev.started(intercept=True)
    del dev.pods.objects["Pod", session.name]
    assert dev.deployer.differs(dev.facts, wanted) == "its traffic goes to a dev pod that is gone"
    dev.deploy(1)
    assert dev.pods.service["spec"]["selector"] == RELEASED


def test_one_session_at_a_time_takes_the_traffic_and_there_must_be_a_release(dev: Dev) -> None:
    with pytest.raises(Problem, match="web is not deployed: there is no traffic to take"):
        dev.started(intercept=True)
    dev.deploy(1)
    first = dev.started(intercept=True)
    with pytest.raises(Problem, match=r"a dev pod of me@here \(pid 1\) takes the traffic of web already"):
        dev.started(intercept=True)
    assert dev.pods.reached == [first.name]
    assert len(dev.pods.pods) == 1


def test_the_next_session_removes_what_a_killed_one_of_this_machine_left_and_no_other(dev: Dev) -> None:
    dev.deploy(1)
    killed, elsewhere = dev.started(intercept=True), dev.started()
    identity = process_identity(os.getpid())
    dev.ended_elsewhere(killed, f"{identity.rpartition(' ')[0]} {DEAD}")
    dev.ended_elsewhere(elsewhere, f"another-boot pid:[1] {DEAD}")
    session = dev.started()
    assert {pod["metadata"]["name"] for pod in dev.pods.pods} == {elsewhere.name, session.name}
    assert dev.pods.service["spec"]["selector"] == RELEASED


def test_down_removes_sessions_also_of_what_is_not_deployed(dev: Dev) -> None:
    dev.started()
    assert [one.name for one in KubernetesStatus(dev.namespace).services()] == ["web"]
    dev.pods.objects["Namespace", "hh"] = {"kind": "Namespace", "metadata": {"name": "hh"}}
    dev.state.forget()
    dev.operations.down(["web"], dev.say)
    assert dev.pods.pods == []


def test_a_pod_that_does_not_start_is_diagnosed_as_a_release_and_removed(dev: Dev) -> None:
    dev.deploy(1)
    dev.pods.waiting = "InvalidImageName"
    session = dev.session()
    with pytest.raises(Problem, match="image r/probe:1 is absent"):
        session.start(dev.say)
    session.close()
    assert dev.pods.pods == []


def test_a_deploy_that_removed_the_pod_is_named_when_its_jvm_is_missed(dev: Dev) -> None:
    dev.deploy(1)
    session = dev.started(intercept=True)
    dev.deploy(2)
    gone = f"pod {session.name} is gone: a deploy or `down` of web has removed it"
    assert session.with_evidence(Problem("the service's JVM does not answer any more"), "web") == gone
    with pytest.raises(Problem, match=gone):
        session.record(["shop.page"])
    dev.pods.changes.clear()
    session.close()
    assert dev.pods.changes == []


def test_a_save_into_a_pod_that_is_being_removed_is_told(dev: Dev) -> None:
    dev.deploy(1)
    session = dev.started(intercept=True)
    dev.pods.objects["Pod", session.name]["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    with pytest.raises(Problem, match=f"pod {session.name} is gone"):
        session.record(["shop.page"])
    assert session.with_evidence(Problem("its JVM is gone", details="EOF"), "web").endswith("has removed it\nEOF")


def test_only_the_needs_that_checks_ask_are_forwarded(dev: Dev) -> None:
    checks = [Check(name="it books", curl='curl "$BASE/" -H "x: $AUTH_URL"', expect={"status": 200})]  # type: ignore[arg-type]
    asked: list[str] = []
    session = dev.session(needs=("auth", "mail"), checks=checks)

    def forward(name: str, _: int | None) -> Any:
        asked.append(name)
        return nullcontext(f"http://{name}")

    session.forward = forward
    session.start(dev.say)
    for _ in range(2):
        session.check(dev.say)
    assert asked == ["auth"]


def test_pods_under_development_cost_no_request_more(dev: Dev) -> None:
    dev.deploy(1)
    dev.started()
    dev.pods.lists = 0
    assert len(dev.namespace.read().dev_pods) == 1
    assert dev.pods.lists == len(KINDS)
