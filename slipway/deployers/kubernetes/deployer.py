"""An environment on a cluster: releases applied as `slipway`, proven by their checks, and put back when they fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slipway.config.models import Service
from slipway.deployers.deployer import UNRECORDED, Release, Secrets, ServiceStatus, Verify, Wanted, pick, settings_diff
from slipway.deployers.kubernetes import apply, status
from slipway.deployers.kubernetes.apply import NamespaceScope, RolloutPlan
from slipway.deployers.kubernetes.check_pod import sweep
from slipway.deployers.kubernetes.release_store import (
    Kept,
    State,
    generated,
    pack,
    pruned,
    read,
    with_current_secret_values,
)
from slipway.engine.steps import Probe, Reporter
from slipway.errors import Problem, Unreachable, UsageError, behind_a_change
from slipway.kubernetes import rollout
from slipway.kubernetes.drift import differences
from slipway.kubernetes.lease import Lock
from slipway.kubernetes.logs import followed, tails, warnings
from slipway.kubernetes.manifests.labels import MANAGED_BY, MANIFEST, NAME, RELEASE, ROLE, SCALED, SOURCE
from slipway.kubernetes.manifests.namespace import namespace
from slipway.kubernetes.manifests.render import IMAGE, digest, for_release, render
from slipway.kubernetes.objects import Object
from slipway.kubernetes.replicas import by_hand, scaled
from slipway.kubernetes.volumes import Storage

KEPT = 10  # releases of a service
UNREADY = "none of its copies is ready"
RESUMED = 120  # seconds that pods get to run again after their cluster was started


class KubernetesTarget:
    """See `Target`. `probe` reads one list per kind; every deed ends with the cluster as the truth."""

    def __init__(self, where: NamespaceScope, probe: Probe[State], storage: Storage | None = None) -> None:
        self.where = where
        self.storage = storage  # where Slipway may have made the volumes
        self.cluster = where.cluster
        self.probe = probe
        left = lambda: sweep(where.cluster, where.project, where.namespace)  # noqa: E731
        self._lock = Lock(where.cluster, where.project, where.namespace, where.who, left)

    def read(self) -> State:
        """The namespace as it is now."""
        return read(self.cluster, self.where.project, self.where.namespace, nodes=self.storage is not None)

    def settle(self, report: Reporter) -> None:
        """Make the namespace."""
        self.cluster.apply(namespace(self.where.project, self.where.namespace))
        report.note("no pod in it may have privileges: Pod Security `restricted` is enforced")

    def resumed(self, since: str, report: Reporter) -> None:
        """Wait until the pods of a cluster that was started at `since` (RFC 3339) run anew, for `RESUMED` seconds.

        Until a node has looked at them again, the API tells of pods as they were before.
        """
        started = datetime.fromisoformat(since)
        for waited in range(RESUMED):
            pods = (one for one in self.read().objects if one["kind"] == "Pod")
            left = [pod["metadata"]["name"] for pod in pods if not rollout.runs(pod, started)]
            if not left:
                return
            report.progress(waited, RESUMED, "seconds")
            report.cancel.wait(1)
            report.cancel.check()
        report.note(f"not ready yet: {', '.join(left)}")

    def differs(self, facts: State, wanted: Wanted) -> str | None:
        """See `Target.differs`."""
        name = wanted.service.name
        deployment = facts.find("Deployment", name)
        if deployment is None:
            return f"Deployment {name} is not there"
        marks = deployment["metadata"].get("annotations", {})
        if marks.get(SOURCE) != wanted.source:
            return "its sources differ from what serves"
        kept = self._serving(facts, name)
        if marks.get(MANIFEST) != self._digest(wanted):
            return settings_diff(kept.release.settings if kept else wanted.service, wanted.service)
        if kept is None:
            return UNRECORDED
        if found := differences(scaled(list(kept.objects), deployment, wanted.service), facts.objects):
            return f"changed by hand: {'; '.join(found)}"
        copies = deployment["spec"].get("replicas", 1)
        return UNREADY if copies and not deployment.get("status", {}).get("readyReplicas") else None

    def released(self, facts: State, wanted: Wanted) -> str | None:
        """The image of a kept release with the sources, settings and checks that are wanted: it was verified here."""
        digested = self._digest(wanted)
        kept = (k.release for k in facts.releases(wanted.service.name))
        return next((r.image for r in kept if (r.source, r.manifest) == (wanted.source, digested)), None)

    def apply(self, wanted: Wanted, verify: Verify, report: Reporter) -> None:
        """See `Target.apply`. Old pods serve until new ones do; a release that fails its checks gives way again."""
        where, service = self.where, wanted.service
        with self._lock.held(report) as report:
            state = self.read()
            reason = self.differs(state, wanted)
            if reason is None:
                report.note("another deploy has just released it")
                return
            if reason == UNREADY:  # as after a start of the cluster: the release is what it should be
                rollout.wait(apply.place(where, service.name), report)
                apply.verdict(where, service, verify, report)
                return
            objects = self._objects(wanted)
            number = state.last(service.name) + 1
            marks = {RELEASE: str(number), SOURCE: wanted.source, MANIFEST: self._digest(wanted)}
            way = self._way(state, service, for_release(objects, wanted.image, marks), report)
            apply.dry_run(self.cluster, way.objects, state)
            checks = apply.roll_out_and_verify(where, way, verify, report)
            release = Release(
                service=service.name,
                number=number,
                image=wanted.image,
                source=wanted.source,
                manifest=marks[MANIFEST],
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                who=wanted.who,
                commit=wanted.commit,
                checks=checks,
                settings=service,
            )
            with behind_a_change():
                self.cluster.apply(
                    pack(where.project, where.namespace, release, for_release(objects, wanted.image, marks))
                )
                self._prune(service.name, way.objects, report)

    def rollback(self, release: Release, secrets: Secrets, verify: Verify, report: Reporter) -> None:  # noqa: ARG002  it has its own
        """See `Target.rollback`: the objects that the release had, and its own number."""
        where = self.where
        with self._lock.held(report) as report:
            state = self.read()
            kept = next(k for k in state.releases(release.service) if k.release.number == release.number)
            missing = [n for n in sorted(kept.names("Secret")) if state.find("Secret", n) is None]
            if missing:
                raise Problem(f"secrets of release {release.number} are gone: {', '.join(missing)}", hint="deploy anew")
            way = self._way(state, release.settings, kept.objects, report)
            apply.dry_run(self.cluster, way.objects, state)
            apply.roll_out_and_verify(where, way, verify, report)
            with behind_a_change():
                self._prune(release.service, way.objects, report)

    def _way(self, state: State, service: Service, objects: Sequence[Object], report: Reporter) -> RolloutPlan:
        """A release's objects and those of what comes back if it fails, each with the copies that serve now."""
        live, kept = state.find("Deployment", service.name), state.releases(service.name)
        before = self._serving(state, service.name) or next(iter(kept), None)
        if (number := by_hand(live, service)) is not None:
            report.note(f"it stays scaled to {number}: ./invoke scale --service {service.name} --replicas file")
        if before:
            copies = scaled(before.objects, live, before.release.settings)
            before = replace(before, objects=tuple(with_current_secret_values(copies, state)))
        return RolloutPlan(service, with_current_secret_values(scaled(objects, live, service), state), before, kept)

    def _digest(self, wanted: Wanted) -> str:
        checks = [check.model_dump(mode="json") for check in wanted.service.checks]
        return digest(self._objects(wanted), checks)

    def _objects(self, wanted: Wanted) -> list[Object]:
        return render(self.where.project, self.where.namespace, wanted.service, IMAGE, wanted.secrets)

    def _serving(self, state: State, service: str) -> Kept | None:
        """The release that the Deployment says it is, if it has a record."""
        deployment = state.find("Deployment", service) or {"metadata": {}}
        marks = deployment["metadata"].get("annotations", {})
        same = (k for k in state.releases(service) if str(k.release.number) == marks.get(RELEASE))
        return next((k for k in same if k.release.manifest == marks.get(MANIFEST)), None)

    def _prune(self, service: str, wanted: Sequence[Object], report: Reporter) -> None:
        """Remove what no kept release has, and releases beyond the newest `KEPT`; nothing without our labels."""
        state = self.read()
        known = state.releases(service)
        serving = self._serving(state, service)
        keep = [k for i, k in enumerate(known) if i < KEPT or k is serving]
        for one in pruned(state, service, wanted, keep):
            self.cluster.delete(one)
            report.note(f"{one['kind']} {one['metadata']['name']} is in no release any more and was removed")
        for kept in known:
            if kept not in keep:
                self.cluster.delete(pack(self.where.project, self.where.namespace, kept.release, ()))

    def generated(self, facts: State) -> dict[str, str]:
        """See `Target.generated`."""
        return facts.generated

    def keep(self, values: Mapping[str, str], report: Reporter) -> str:
        """See `Target.keep`: what another deploy has kept by now stays as it is."""
        where = self.where
        with self._lock.held(report):
            values = {**values, **self.read().generated}
            self.cluster.apply(generated(where.project, where.namespace, values), force=True)
        return f"kept in Secret slipway.generated of namespace {where.namespace}"

    def earlier(self, service: str, number: int | None) -> Release:
        """See `Target.earlier`."""
        return pick(service, self.history(service), self.serving(service), number)

    def serving(self, service: str) -> Release | None:
        """See `Target.serving`."""
        kept = self._serving(self.probe.facts(), service)
        return kept.release if kept else None

    def history(self, service: str | None) -> list[Release]:
        """See `Target.history`."""
        return [kept.release for kept in self._up().releases(service)]

    def status(self) -> list[ServiceStatus]:
        """See `Target.status`."""
        facts = self._up()
        found = []
        for one in (o for o in facts.objects if o["kind"] == "Deployment"):
            kept = self._serving(facts, one["metadata"]["name"])
            found.append(status.live(facts, one, kept.release.number if kept else None))
        return sorted(found, key=lambda live: live.name)

    def nodes(self) -> list[dict[str, Any]]:
        """See `Target.nodes`."""
        self._up()
        return status.nodes(self.cluster)

    def platforms(self) -> set[str]:
        """The Docker platforms of the nodes: linux/amd64."""
        return status.platforms(self.cluster)

    def warnings(self) -> list[str]:
        """The namespace's warnings of the last minutes, newest last, behind the releases that can't be read."""
        facts = self.probe.facts()
        pods = (one for one in facts.objects if one["kind"] == "Pod")
        unready = {pod["metadata"]["name"] for pod in pods if rollout.pod_state(pod) != "Ready"}
        unread = [f"Secret {name} is a release that can't be read, and is left alone" for name in facts.unread]
        return [*unread, *warnings(self.cluster.list("v1", "Event", self.where.namespace), unready, datetime.now(UTC))]

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """See `Target.logs`: every line with its pod's name."""
        self._there(service)
        place = apply.place(self.where, service)
        return followed(place, tail) if follow else tails(place, tail)

    def restart(self, service: Service, report: Reporter) -> None:
        """See `Target.restart`: new pods of the same release, as `kubectl rollout restart` makes them."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        mark = {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}
        there = self._there(service.name)
        with self._lock.held(report) as report:
            self.cluster.patch(there, {"spec": {"template": {"metadata": mark}}})
            with behind_a_change():
                rollout.wait(apply.place(self.where, service.name), report)

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:
        """See `Target.scale`."""
        serving = self.serving(service.name)
        if service.autoscale or (serving and serving.settings.autoscale):
            hint = "change `autoscale` or `replicas` in its service file and deploy"
            raise UsageError(f"{service.name} is scaled by its autoscaler", hint=hint)
        self._there(service.name)
        with self._lock.held(report) as report:
            state = self.read()
            kept = self._serving(state, service.name)
            if kept is None:
                raise Problem(f"{service.name}: {UNRECORDED}", hint="./invoke deploy, then scale")
            settings = kept.release.settings
            live = dict(state.find("Deployment", service.name) or {})
            marks = {SCALED: f"{replicas} of {settings.replicas}"} if replicas is not None else {}
            objects = scaled(kept.objects, {**live, "metadata": {"annotations": marks}}, settings)
            objects = with_current_secret_values(objects, state)
            apply.dry_run(self.cluster, objects, state)
            with behind_a_change():
                apply.put(self.cluster, objects, report)
                rollout.wait(apply.place(self.where, service.name), report)

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """See `Target.forward`: kubectl's tunnel, made anew when its pod is gone."""
        from slipway.kubernetes.port_forward import tunnel

        there = self._there(service)
        inner = there["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
        words = ("--namespace", self.where.namespace, "port-forward", "--address", "127.0.0.1", f"service/{service}")
        with tunnel(self.where.host, self.cluster.context.kubectl(*words, f":{inner}"), port) as here:
            yield f"http://127.0.0.1:{here}"

    def down(self, services: Sequence[str], report: Reporter) -> None:
        """See `Target.down`."""
        if not self.read().namespace:
            return
        with self._lock.held(report) as report, behind_a_change():
            for one in (o for o in self.read().objects if o["metadata"]["labels"].get(NAME) in services):
                if one["kind"] not in {"PersistentVolumeClaim", "Pod"} and ROLE not in one["metadata"]["labels"]:
                    self.cluster.delete(one)
                    report.note(f"{one['kind']} {one['metadata']['name']} removed")
            for _ in range(600):
                state = self.read()
                pods = [pod for service in services for pod in state.of(service, "Pod")]
                if not pods:
                    return
                report.progress(0, len(pods), "pods")
                report.cancel.wait(0.2)
        raise Problem("pods did not end within 120 s", hint="kubectl get pods")

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:
        """See `Target.purge`."""
        if not self.read().namespace:
            return
        with self._lock.held(report) as report:
            claims, state = [], self.read()
            if back := [name for name in services if state.find("Deployment", name)]:
                summary = f"{', '.join(back)} was deployed again meanwhile: its data stays"
                raise Problem(summary, hint="the same command again, where that is to go too")
            for one in state.objects:
                marks = one["metadata"]["labels"]
                kept = one["kind"] == "PersistentVolumeClaim" or marks.get(ROLE) == "release"
                made = everything and marks.get(ROLE) == "generated" and marks.get(MANAGED_BY) == "slipway"
                if (marks.get(NAME) in services and kept) or made:
                    self.cluster.delete(one)
                    report.note(f"{one['kind']} {one['metadata']['name']} removed")
                    claims += [one] if one["kind"] == "PersistentVolumeClaim" else []
            if self.storage:
                self.storage.remove(claims, report)

    def _up(self) -> State:
        """The namespace of a cluster that runs. Raises Problem for one that does not: nothing is known of it."""
        facts = self.probe.facts()
        if facts.down:
            raise Unreachable(facts.down, hint=facts.start)
        return facts

    def _there(self, service: str) -> Object:
        found = self._up().find("Deployment", service)
        if found is None:
            hint = f"./invoke deploy --service {service}"
            raise UsageError(f"{service} is not deployed in {self.where.namespace}", hint=hint)
        return found
