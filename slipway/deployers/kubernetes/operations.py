"""Day-two work on services in a namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from slipway.config.models import Service
from slipway.deployers.kubernetes import dev_pods
from slipway.deployers.kubernetes.apply import apply_objects, delete_objects, dry_run
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace, running
from slipway.deployers.kubernetes.release_store import holds_data, with_current_secret_values
from slipway.deployers.releases import UNRECORDED
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, UsageError, behind_a_change, deploy_command
from slipway.kubernetes import rollout
from slipway.kubernetes.logs import followed, tails
from slipway.kubernetes.manifests.labels import MANAGED_BY, NAME, ROLE, SCALED
from slipway.kubernetes.replicas import with_replicas


class KubernetesOperations:
    """The `Operations` of one namespace."""

    def __init__(self, namespace: ProjectNamespace) -> None:
        self._namespace, self._scope = namespace, namespace.scope

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """The lines of every pod, each with its pod's name."""
        self._namespace.deployed(service)
        workload = self._scope.workload(service)
        return followed(workload, tail) if follow else tails(workload, tail)

    def restart(self, service: Service, report: Reporter) -> None:
        """New pods of the same release, as `kubectl rollout restart` makes them."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        mark = {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}
        deployment = self._namespace.deployed(service.name)
        with self._namespace.lease.held(report) as report:
            self._scope.cluster.patch(deployment, {"spec": {"template": {"metadata": mark}}})
            with behind_a_change():
                rollout.wait(self._scope.workload(service.name), report)

    def can_scale(self, service: Service) -> None:
        """A service that an autoscaler scales can't be scaled by hand."""
        kept = running(self._namespace.state.facts(), service.name)
        if service.autoscale or (kept and kept.release.settings.autoscale):
            hint = "change `autoscale` or `replicas` in its service file and deploy"
            raise UsageError(f"{service.name} is scaled by its autoscaler", hint=hint)

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:
        """Apply the running release's objects with another number of copies, and a mark that says so."""
        self.can_scale(service)
        self._namespace.deployed(service.name)
        cluster = self._scope.cluster
        with self._namespace.lease.held(report) as report:
            state = self._namespace.read()
            if dev_pods.take_back(self._scope, state, service.name, report):
                state = self._namespace.read()
            kept = running(state, service.name)
            if kept is None:
                raise Problem(
                    f"{service.name}: {UNRECORDED}",
                    hint="deploy it, then scale",
                    commands=[deploy_command(service.name)],
                )
            settings = kept.release.settings
            live = dict(state.find("Deployment", service.name) or {})
            marks = {SCALED: f"{replicas} of {settings.replicas}"} if replicas is not None else {}
            objects = with_replicas(kept.objects, {**live, "metadata": {"annotations": marks}}, settings)
            objects = with_current_secret_values(objects, state)
            dry_run(cluster, objects, state, report)
            with behind_a_change():
                apply_objects(self._scope, objects, report)
                rollout.wait(self._scope.workload(service.name), report)

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """Kubectl's port-forward, opened again when its pod is gone."""
        from slipway.kubernetes.port_forward import port_forward

        deployment = self._namespace.deployed(service)
        inner = deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
        words = ("--namespace", self._namespace.name, "port-forward", "--address", "127.0.0.1", f"service/{service}")
        with port_forward(self._scope.host, self._scope.cluster.context.kubectl(*words, f":{inner}"), port) as local:
            yield f"http://127.0.0.1:{local}"

    def known_services(self) -> frozenset[str]:
        """Those that an object is labelled with."""
        marks = (one["metadata"]["labels"] for one in self._namespace.reachable().objects)
        return frozenset(one[NAME] for one in marks if NAME in one)

    def down(self, services: Sequence[str], report: Reporter) -> None:
        """Remove the objects of these services, claims apart, and wait until their pods have ended."""
        if not self._namespace.reachable().namespace:
            return
        with self._namespace.lease.held(report) as report, behind_a_change():
            state = self._namespace.read()
            own = [o for o in (*state.objects, *state.elsewhere) if o["metadata"]["labels"].get(NAME) in services]
            workloads = [one for one in own if ROLE not in one["metadata"]["labels"] and not holds_data(one)]
            for service in services:
                dev_pods.remove(self._scope.cluster, dev_pods.of_service(state, service), report)
            for one in delete_objects(self._scope, workloads, report):
                report.note(f"{one['kind']} {one['metadata']['name']} removed")
            for one in (one for one in own if one["kind"] == "Namespace"):
                name = one["metadata"]["name"]
                report.note(f"Namespace {name} stays with all that is in it: kubectl delete namespace {name}")
            for _ in range(600):
                state = self._namespace.read()
                pods = [
                    pod
                    for service in services
                    for pod in (*state.of(service, "Pod"), *dev_pods.of_service(state, service))
                ]
                if not pods:
                    return
                report.progress(0, len(pods), "pods")
                report.cancel.wait(0.2)
        raise Problem("pods did not end within 120 s", hint="kubectl get pods")

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:
        """Remove claims and records of these services, and with `everything` the Secret of generated secrets."""
        if not self._namespace.reachable().namespace:
            return
        with self._namespace.lease.held(report) as report:
            claims, state = [], self._namespace.read()
            if back := [name for name in services if state.find("Deployment", name)]:
                summary = f"{', '.join(back)} was deployed again meanwhile: its data stays"
                raise Problem(summary, hint="run the same command again to remove its data too")
            for one in (*state.objects, *state.elsewhere):
                marks = one["metadata"]["labels"]
                kept = one["kind"] in {"PersistentVolumeClaim", "PersistentVolume"} or marks.get(ROLE) == "release"
                made = everything and marks.get(ROLE) == "generated" and marks.get(MANAGED_BY) == "slipway"
                if (marks.get(NAME) in services and kept) or made:
                    self._scope.cluster.delete(one)
                    report.note(f"{one['kind']} {one['metadata']['name']} removed")
                    claims += [one] if one["kind"] == "PersistentVolumeClaim" else []
            if self._namespace.volumes:
                self._namespace.volumes.remove(claims, report)
