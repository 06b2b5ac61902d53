"""Releases on a cluster in memory: what is asked first, what comes back, what a person changed, how many copies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.config.models import Environment, Service
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.kubernetes.deployer import deployments
from slipway.deployers.kubernetes.manifest import Manifest
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State, read
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.steps import Probe
from slipway.errors import ApiRefused, Cancelled, NextCommand, Problem, Unreachable, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes import rollout
from slipway.kubernetes.logs import tails
from slipway.kubernetes.manifests.labels import labels
from slipway.kubernetes.manifests.namespace import namespace
from slipway.kubernetes.workload import Workload
from slipway.secrets.resolution import resolve
from tests.unit.kubernetes.fake_checks import NoChecks
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json


class Deploys:
    """Deployments on a cluster in memory, and deploys of a service `web` to it, which has no checks."""

    def __init__(self, folder: Path, cluster: FakeCluster | None = None, where: str = "hh") -> None:
        self.folder, self.cluster = folder, cluster or FakeCluster()
        (folder / "manifests").mkdir()
        scope = NamespaceScope(self.cluster, "hh", where, FakeHost("h", Facts("Linux", "x")), NoChecks(), "me")
        self.state = Probe(lambda: read(self.cluster, "hh", where))
        self.namespace = ProjectNamespace(scope, self.state)
        self.deployments = deployments(self.namespace)
        self.deployer, self.releases = self.deployments.deployer, self.deployments.releases
        self.operations, self.store = self.deployments.operations, self.deployments.secret_store
        self.heard: list[str] = []
        self.say = Reporter("web", self._hear, Cancel())

    def _hear(self, event: Event) -> None:
        if isinstance(event, Output):
            self.heard.append(event.text)

    def wanted(self, version: int, **changes: Any) -> DesiredRelease[Manifest]:
        service = Service.model_validate({"name": "web", "folder": self.folder, **changes})
        manifest = self.deployer.render(service, {})
        return DesiredRelease(service, f"src{version}", {}, manifest, "me", f"r/web@sha256:{version}")

    def deploy(self, version: int, **changes: Any) -> DesiredRelease[Manifest]:
        wanted = self.wanted(version, **changes)
        self.deployer.apply(wanted, self.say)
        self.state.forget()
        return wanted

    def fails(self, version: int, **changes: Any) -> Problem:
        self.cluster.broken.add(f"r/web@sha256:{version}")
        with pytest.raises(Problem) as raised:
            self.deploy(version, **changes)
        self.state.forget()
        return raised.value

    def killed(self, version: int) -> None:
        """A deploy that got as far as the Deployment."""
        deployment = self.deployment
        deployment["metadata"]["annotations"].update({"slipway/release": "9", "slipway/source": f"src{version}"})
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = f"r/web@sha256:{version}"

    def rollback(self, number: int) -> None:
        release = self.releases.earlier("web", number)
        self.deployer.rollback(release, lambda _: {}, self.say)
        self.state.forget()

    def own(self, **parts: Any) -> None:
        """Write a Secret of the service's own."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}, **parts}
        (self.folder / "manifests" / "own.yaml").write_text(json.dumps(secret))

    @property
    def own_values(self) -> dict[str, str]:
        data = self.cluster.objects["Secret", "own"]["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @property
    def deployment(self) -> Json:
        return self.cluster.objects["Deployment", "web"]

    @property
    def image(self) -> str:
        return str(self.deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    @property
    def copies(self) -> int:
        return int(self.deployment["spec"]["replicas"])

    @property
    def facts(self) -> State:
        return self.namespace.read()


@pytest.fixture
def deploys(tmp_path: Path) -> Deploys:
    return Deploys(tmp_path)


def test_a_rollback_that_fails_after_a_killed_deploy_restores_the_newest_stored_release(deploys: Deploys) -> None:
    for version in (1, 2):
        deploys.deploy(version)
    deploys.killed(3)
    deploys.state.forget()
    deploys.cluster.broken.add("r/web@sha256:1")
    with pytest.raises(Problem) as raised:
        deploys.rollback(1)
    assert "release 2 of web is running again" in raised.value.hint
    assert deploys.image == "r/web@sha256:2"
    assert ("Service", "web") in deploys.cluster.objects


def test_an_object_that_somebody_else_created_is_refused_before_anything_is_changed(deploys: Deploys) -> None:
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "hh"}, "spec": {"a": "b"}}
    deploys.cluster.create(theirs)
    deploys.cluster.changes.clear()
    with pytest.raises(Problem, match="Service web already exists") as raised:
        deploys.deploy(1, env={"A": "b"})
    assert "kubectl --namespace hh label" in raised.value.hint
    assert [change for change in deploys.cluster.changes if "Lease" not in change] == []
    assert deploys.cluster.objects["Service", "web"]["spec"] == {"a": "b"}


def test_what_only_the_failed_release_had_goes_with_it(deploys: Deploys) -> None:
    deploys.deploy(1, env={"A": "1"})
    shared = next(name for kind, name in deploys.cluster.objects if kind == "ConfigMap")
    deploys.deploy(2, env={"A": "2"})
    problem = deploys.fails(3, env={"A": "1"}, autoscale={"max": 4})
    assert "release 2 of web is running again" in problem.hint
    assert ("HorizontalPodAutoscaler", "web") not in deploys.cluster.objects
    assert ("ConfigMap", shared) in deploys.cluster.objects  # release 1 has it too


def test_a_first_release_that_fails_is_deleted_and_its_data_stays(deploys: Deploys) -> None:
    deploys.fails(1, storage={"data": {"path": "/data"}})
    kinds = {kind for kind, _ in deploys.cluster.objects}
    assert kinds == {"PersistentVolumeClaim"}


def test_a_release_that_can_not_be_restored_is_reported(deploys: Deploys, monkeypatch: pytest.MonkeyPatch) -> None:
    deploys.deploy(1)
    apply = deploys.cluster.apply

    def refusing(document: Json, **how: bool) -> Json:
        if document["kind"] == "Deployment" and "sha256:1" in str(document):
            raise Problem("Deployment web could not be applied", details="no")
        return apply(document, **how)

    monkeypatch.setattr(deploys.cluster, "apply", refusing)
    problem = deploys.fails(2)
    assert "release 1 could not be restored: Deployment web could not be applied" in problem.hint
    assert problem.commands == (NextCommand("rollback", {"service": "web", "to": 1}),)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("Service", {"spec": {"externalIPs": ["192.0.2.1"]}}, "spec.externalIPs was added by kubectl-patch"),
        ("Deployment", {"spec": {"paused": True}}, "spec.paused was added by kubectl-patch"),
        ("Deployment", {"spec": {"replicas": 7}}, "spec.replicas is 7 instead of 1"),
    ],
)
def test_what_a_person_changed_is_reverted_and_what_another_tool_added_stays(
    deploys: Deploys, kind: str, change: Json, said: str
) -> None:
    wanted = deploys.deploy(1)
    deploys.cluster.by_hand(kind, "web", "kubectl-patch", change)
    deploys.cluster.by_hand(kind, "web", "argo", {"spec": {"theirs": 1}})
    assert said in str(deploys.deployer.differs(deploys.facts, wanted))
    deploys.deploy(1)
    assert deploys.deployer.differs(deploys.facts, wanted) is None
    live = deploys.cluster.objects[kind, "web"]["spec"]
    assert live["theirs"] == 1
    assert not {"externalIPs", "paused"} & live.keys()


def test_a_field_of_another_tool_is_never_taken_over(deploys: Deploys) -> None:
    deploys.deploy(1)
    deploys.cluster.by_hand("Deployment", "web", "argo", {"spec": {"replicas": 4}})
    deploys.state.forget()
    with pytest.raises(Problem) as raised:
        deploys.operations.scale(deploys.wanted(1).service, 3, null_reporter())
    assert raised.value.details == "spec.replicas is managed by argo"
    assert deploys.copies == 4


@pytest.mark.parametrize("how", ["restored", "rolled back"])
def test_a_scaled_number_is_kept_when_an_earlier_release_is_restored(deploys: Deploys, how: str) -> None:
    deploys.deploy(1)
    deploys.deploy(2)
    deploys.operations.scale(deploys.wanted(2).service, 3, deploys.say)
    deploys.state.forget()
    if how == "restored":
        deploys.fails(3)
    else:
        deploys.rollback(1)
    assert deploys.copies == 3
    assert deploys.deployment["metadata"]["annotations"]["slipway/scaled"] == "3 of 1"
    assert "it stays scaled to 3, until `scale --replicas file` is run or its file has another number" in deploys.heard


def test_copies_stay_while_a_service_becomes_autoscaled_and_back(deploys: Deploys) -> None:
    deploys.deploy(1, replicas=6)
    deploys.deploy(2, replicas=2, autoscale={"max": 8})
    assert deploys.copies == 6
    deploys.cluster.by_hand("Deployment", "web", "kube-controller-manager", {"spec": {"replicas": 5}}, "scale")
    deploys.deploy(3, replicas=2, autoscale={"max": 8})
    assert deploys.copies == 5
    deploys.cluster.changes.clear()
    deploys.deploy(4, replicas=3)
    assert deploys.copies == 3
    gone, applied = "delete HorizontalPodAutoscaler web", "apply Deployment web"
    assert deploys.cluster.changes.index(gone) < deploys.cluster.changes.index(applied)


def test_the_first_release_of_an_autoscaled_service_begins_with_its_minimum(deploys: Deploys) -> None:
    wanted = deploys.deploy(1, replicas=2, autoscale={"max": 4})
    assert deploys.copies == 2
    assert deploys.deployer.differs(deploys.facts, wanted) is None


def test_every_change_holds_the_lease_of_the_namespace(deploys: Deploys) -> None:
    deploys.cluster.apply(namespace("hh", "hh"))
    service = deploys.deploy(1).service
    for change in (
        lambda: deploys.operations.restart(service, deploys.say),
        lambda: deploys.operations.scale(service, 2, deploys.say),
        lambda: deploys.store.store({"web.A": "b"}, deploys.say),
        lambda: deploys.operations.down(["web"], deploys.say),
        lambda: deploys.operations.purge(["web"], everything=True, report=deploys.say),
    ):
        deploys.state.forget()
        deploys.cluster.changes.clear()
        change()
        first, *between, last = deploys.cluster.changes
        assert (first, last) == ("create Lease slipway", "delete Lease slipway")
        assert between


@pytest.mark.parametrize("down", ["", "there is no cluster"])
def test_secrets_of_what_was_never_deployed_are_not_stored_and_the_command_is_named(
    deploys: Deploys, down: str
) -> None:
    if down:
        deploys.namespace = ProjectNamespace(deploys.namespace.scope, Probe(lambda: State(down=down)))
    with pytest.raises(UsageError, match="nothing is deployed yet") as raised:
        deployments(deploys.namespace).secret_store.store({"web.A": "b"}, deploys.say)
    assert (down or "there is no namespace hh") in raised.value.summary
    assert raised.value.commands == (NextCommand("deploy"),)
    assert deploys.cluster.changes == []


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_an_admission_webhook_without_dry_run_stops_no_deploy_and_is_told(
    deploys: Deploys, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    apply, text = deploys.cluster.apply, 'admission webhook "policy.example.org" does not support dry run'

    def hooked(document: Json, **how: bool) -> Json:
        if how.get("dry_run") and document["kind"] == kind:
            raise ApiRefused(f"{kind} web could not be applied", status=400, details=text)
        return apply(document, **how)

    monkeypatch.setattr(deploys.cluster, "apply", hooked)
    deploys.deploy(1)
    assert deploys.image == "r/web@sha256:1"
    assert f"applied without a dry run: {kind} web: {text}" in deploys.heard


def test_an_admission_webhook_that_refuses_stops_a_deploy(deploys: Deploys, monkeypatch: pytest.MonkeyPatch) -> None:
    def hooked(document: Json, **_: bool) -> Json:
        text = 'admission webhook "policy.example.org" denied the request: no'
        raise ApiRefused(f"{document['kind']} could not be applied", status=400, details=text)

    monkeypatch.setattr(deploys.cluster, "apply", hooked)
    with pytest.raises(ApiRefused):
        deploys.deploy(1)
    assert ("Deployment", "web") not in deploys.cluster.objects


def test_a_secret_that_another_deploy_has_generated_by_now_wins(deploys: Deploys) -> None:
    deploys.cluster.apply(namespace("hh", "hh"))
    deploys.store.store({"web.A": "theirs"}, deploys.say)
    deploys.store.store({"web.A": "mine", "web.B": "mine too"}, deploys.say)
    assert deploys.facts.generated == {"web.A": "theirs", "web.B": "mine too"}


def test_removing_what_was_never_there_needs_no_namespace(deploys: Deploys) -> None:
    deploys.operations.down(["web"], deploys.say)
    deploys.operations.purge(["web"], everything=True, report=deploys.say)
    assert deploys.cluster.changes == []


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"env": {"LEVEL": "debug", "NEW": "1"}}, "env LEVEL, env NEW, env OLD"),
        ({"resources": {"cpu": "200m"}}, "resources"),
        ({"replicas": 2, "env": {"LEVEL": "info"}}, "env OLD, replicas"),
    ],
)
def test_a_plan_names_the_settings_that_differ_from_the_running_release(
    deploys: Deploys, changes: dict[str, Any], places: str
) -> None:
    serving = {"env": {"LEVEL": "info", "OLD": "1"}}
    deploys.deploy(1, **serving)
    details = deploys.deployer.differs(deploys.facts, deploys.wanted(1, **{**serving, **changes}))
    assert details == f"its settings or checks differ from the running release: {places}"


@pytest.mark.parametrize("parts", [{"data": {"A": "MQ=="}}, {"stringData": {"A": "1"}}])
def test_a_secret_of_the_services_own_is_applied_and_its_changed_value_is_a_new_release(
    deploys: Deploys, parts: Json
) -> None:
    deploys.own(**parts)
    wanted = deploys.deploy(1)
    assert deploys.own_values == {"A": "1"}
    assert deploys.deployer.differs(deploys.facts, wanted) is None
    deploys.own(stringData={"B": "two"})
    wanted = deploys.wanted(1)
    assert deploys.deployer.differs(deploys.facts, wanted) == "its settings or checks differ from the running release"
    deploys.deploy(1)
    assert deploys.own_values == {"B": "two"}
    assert "two" not in json.dumps([kept.objects for kept in deploys.facts.stored])


def test_a_change_by_hand_to_an_own_secret_is_noticed_and_reverted(deploys: Deploys) -> None:
    deploys.own(stringData={"A": "1"})
    wanted = deploys.deploy(1)
    deploys.cluster.by_hand("Secret", "own", "kubectl-edit", {"data": {"A": "Mg==", "C": "Mw=="}})
    assert "Secret own: its values were changed" in str(deploys.deployer.differs(deploys.facts, wanted))
    deploys.deploy(1)
    assert deploys.own_values == {"A": "1"}
    assert deploys.deployer.differs(deploys.facts, wanted) is None


def test_the_values_of_the_services_own_secret_are_restored_with_the_release_before(deploys: Deploys) -> None:
    deploys.own(stringData={"A": "1"})
    deploys.deploy(1)
    deploys.own(stringData={"A": "2", "B": "3"})
    deploys.fails(2)
    assert deploys.own_values == {"A": "1"}


@pytest.mark.parametrize("content", ["", "bm8=", "H4sIAAAAAAAC/w=="])
def test_a_release_that_can_not_be_read_is_left_alone_and_reported(deploys: Deploys, content: str) -> None:
    deploys.deploy(1)
    deploys.deploy(2)
    deploys.cluster.objects["Secret", "slipway.web.release.0002"]["data"]["release"] = content
    deploys.state.forget()
    assert [release.number for release in deploys.releases.history("web")] == [1]
    assert "Secret slipway.web.release.0002 is a release that can't be read" in deploys.deployments.status.warnings()[0]
    deploys.deploy(3)
    assert [release.number for release in deploys.releases.history("web")] == [3, 1]


def test_what_was_deployed_again_before_a_purge_keeps_its_data(deploys: Deploys) -> None:
    deploys.cluster.apply(namespace("hh", "hh"))
    deploys.deploy(1)
    with pytest.raises(Problem, match="web was deployed again meanwhile"):
        deploys.operations.purge(["web"], everything=True, report=deploys.say)
    assert [release.number for release in deploys.releases.history("web")] == [1]


def test_a_cluster_that_does_not_run_is_reported_and_is_not_an_empty_one(deploys: Deploys) -> None:
    service = deploys.deploy(1).service
    down = Probe(lambda: State(down="the cluster is stopped", commands=(NextCommand("cluster.start"),)))
    stopped = deployments(ProjectNamespace(deploys.namespace.scope, down))
    for question in (
        stopped.status.services,
        stopped.status.nodes,
        lambda: stopped.releases.history(None),
        lambda: stopped.releases.earlier("web", None),
        lambda: stopped.operations.logs("web", 10, follow=False),
        lambda: stopped.operations.restart(service, deploys.say),
        lambda: stopped.operations.scale(service, 2, deploys.say),
        lambda: stopped.operations.forward("web", None).__enter__(),
    ):
        with pytest.raises(Problem, match="the cluster is stopped") as raised:
            question()
        assert (type(raised.value), raised.value.commands) == (Unreachable, (NextCommand("cluster.start"),))


def test_an_api_that_goes_away_after_a_change_is_not_reported_as_nothing_changed(
    deploys: Deploys, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = deploys.deploy(1).service

    def away(*_: object) -> None:
        raise Unreachable("the cluster does not answer")

    monkeypatch.setattr(rollout, "wait", away)
    for change in (deploys.operations.restart, lambda *given: deploys.operations.scale(given[0], 2, given[1])):
        with pytest.raises(Unreachable, match="does not answer") as raised:
            change(service, deploys.say)
        assert raised.value.changed


def test_an_interrupted_rollout_says_that_the_release_before_could_not_be_restored(
    deploys: Deploys, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploys.deploy(1)

    def refuse(*_: object, **__: object) -> Json:
        raise Problem("Deployment web could not be applied")

    def interrupt(*_: object) -> None:
        monkeypatch.setattr(deploys.cluster, "apply", refuse)
        raise Cancelled

    monkeypatch.setattr(rollout, "wait", interrupt)
    with pytest.raises(Cancelled):
        deploys.deploy(2)
    text = "release 1 could not be restored: Deployment web could not be applied; the next deploy completes it"
    assert text in deploys.heard


def test_a_pod_without_a_log_keeps_no_other_from_being_read(deploys: Deploys) -> None:
    class Logs(FakeCluster):
        def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002  the real one's
            if "/pods/a/" in path:
                raise Problem(f"{path} can't be read", details="container web is waiting to start")
            yield b"hello"

    cluster = Logs()
    for name in ("a", "b"):
        meta = {"name": name, "namespace": "hh", "labels": labels("hh", "web")}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta})
    lines = list(tails(Workload(cluster, "hh", "hh", "web"), 10))
    assert lines == ["a has no log: container web is waiting to start", "b hello"]


def test_a_rollback_on_a_cluster_resolves_no_secrets(deploys: Deploys) -> None:
    deploys.deploy(1)
    deploys.deploy(2)
    release = deploys.releases.earlier("web", 1)
    deploys.deployer.rollback(release, lambda _: pytest.fail("it has them"), deploys.say)
    deploys.state.forget()
    serving = deploys.releases.running("web")
    assert serving
    assert serving.number == 1


def test_a_need_that_has_another_name_now_is_reported() -> None:
    service = Service.model_validate({"name": "web", "secrets": {"KEY": {"of": "gone"}}})
    with pytest.raises(Problem, match="missing secrets in environment local") as raised:
        resolve(service, Environment(name="local"), {"web": service}, lambda *_: "x")
    assert "service gone has no secret of that name" in raised.value.details
