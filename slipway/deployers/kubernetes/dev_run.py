"""A service under development on a cluster: a pod beside the copies of its release, until the session ends."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from slipway.checks.report import CheckReport
from slipway.checks.runner import CheckRunner
from slipway.config.models import url_variable
from slipway.deployers.deployer import DesiredRelease, addresses
from slipway.deployers.dev_run import FOLDER, TOOL_OPTIONS, VOLUME, DevSpec
from slipway.deployers.kubernetes import dev_pods
from slipway.deployers.kubernetes.manifest import Manifest
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.archive import writable_tar
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ApiRefused, Problem, behind_a_change, deploy_command
from slipway.hosts.host import Command
from slipway.kubernetes import rollout
from slipway.kubernetes.endpoints import wait_until_routed_to
from slipway.kubernetes.lease import process_identity
from slipway.kubernetes.manifests.dev_pod import FILL, SOURCES, config_of, dev_pod
from slipway.kubernetes.manifests.labels import PATCHED, PROCESS, WHO, dev_labels
from slipway.kubernetes.manifests.render import for_release
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pod_wait import is_initializing, is_ready, wait_for_pod
from slipway.kubernetes.pods import is_ending
from slipway.kubernetes.port_forward import port_forwards
from slipway.kubernetes.snapshot import read_pod_snapshot
from slipway.kubernetes.workload import Workload

Forward = Callable[[str, int | None], AbstractContextManager[str]]  # see `Operations.forward`


@dataclass
class DevPod:
    """A `DevRun` in a namespace. It uses the running releases of what it needs, and has storage of its own, empty.

    `image` brings the image of the container that fills the pod's sources, which has a shell and tar. A deploy may
    run meanwhile: only while traffic is taken does it wait, and one of this service takes the traffic back.
    """

    namespace: ProjectNamespace
    desired: DesiredRelease[Manifest]
    spec: DevSpec
    checks: CheckRunner
    image: Callable[[Reporter], str]
    forward: Forward
    _token: str = field(default_factory=lambda: secrets.token_hex(3))
    _pod: Object = field(default_factory=dict)
    _ports: dict[int, int] = field(default_factory=dict)
    _urls: dict[str, str] = field(default_factory=dict)
    _patched: set[str] = field(default_factory=set)
    _tunnels: ExitStack = field(default_factory=ExitStack)

    @property
    def name(self) -> str:
        """The pod's name."""
        return f"{self.service}-dev-{self._token}"

    @property
    def service(self) -> str:
        """The service's name."""
        return self.desired.service.name

    @property
    def address(self) -> str:
        """The URL of the service in the pod."""
        return f"http://127.0.0.1:{self.published(self.desired.service.port)}"

    @property
    def log_command(self) -> str:
        """The command that follows its log."""
        words = ("--namespace", self.namespace.name, "logs", "--follow", self.name)
        return shlex.join(self.namespace.scope.cluster.context.kubectl(*words))

    def published(self, port: int) -> int:
        """The port of this machine behind which a port of the pod is."""
        return self._ports[port]

    def start(self, report: Reporter) -> None:
        """Create the pod, give it its sources, and wait until it is ready; then take the traffic, if that is wanted."""
        state, cluster = self._without_left_behind(report), self.namespace.scope.cluster
        if self.spec.intercept:
            self._require_release_whose_traffic_is_free(state)
        if needs := self.desired.service.needs:
            report.note(f"it uses {', '.join(needs)} as they run in {self.namespace.name}; its storage is its own")
        objects = for_release(self.desired.manifest.objects, self.desired.image, {})
        with behind_a_change():
            self._pod = self._rendered(objects, report)
            self._pod = cluster.create(self._pod)
            for one in config_of(objects, self._pod):
                if not _is_of_a_release(state.same(one)):
                    cluster.apply(one)
            self._start_from_sources(report)
            if self.spec.intercept:
                self._intercept(report)

    def _without_left_behind(self, report: Reporter) -> State:
        """The namespace without what killed sessions of this service left in it."""
        state = self.namespace.read()
        dead = list(dev_pods.left_behind(state, self.service))
        if not dead:
            return state
        if any(map(dev_pods.intercepts, dead)):
            dev_pods.take_back(self.namespace.scope, state, self.service, report)
            state = self.namespace.read()
        dev_pods.remove(self.namespace.scope.cluster, dev_pods.left_behind(state, self.service), report)
        return self.namespace.read()

    def _rendered(self, objects: Collection[Object], report: Reporter) -> Object:
        scope, service = self.namespace.scope, self.desired.service
        marks = {WHO: scope.who, PROCESS: process_identity(os.getpid())}
        labels = dev_labels(scope.project, self.service, intercept=self.spec.intercept)
        deployment = next(o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"] == self.service)
        options = {TOOL_OPTIONS: self.spec.tool_options(service.env)}
        metadata = {"labels": labels, "annotations": marks}
        return dev_pod(deployment, self.name, VOLUME, options, self.image(report), metadata)

    def _start_from_sources(self, report: Reporter) -> None:
        wait_for_pod(self._workload, self.name, is_initializing, report)
        prefix = FOLDER.removeprefix(VOLUME)[1:]
        files = {f"{prefix}/{path}": text for path, text in self.spec.files.items()}
        words = ("exec", "-i", "-c", SOURCES, self.name, "--", "sh", "-c", FILL.format(folder=VOLUME))
        done = self._host_run(Command(self._kubectl(*words), stdin=writable_tar(files, 0o666)), report)
        if done:
            raise Problem(f"{self.service}: its sources could not be written to the pod", details=done)
        wait_for_pod(self._workload, self.name, is_ready, report)
        ports = (self.desired.service.port, *self.spec.ports)
        kubectl = self._kubectl("port-forward", "--address", "127.0.0.1", f"pod/{self.name}")
        self._ports = self._tunnels.enter_context(port_forwards(self.namespace.scope.host, kubectl, ports))

    def _host_run(self, command: Command, report: Reporter) -> str:
        """Run a command that should print nothing: what it printed as it failed, or nothing."""
        result = self.namespace.scope.host.run(command, report)
        return (result.stderr or result.stdout).decode(errors="replace") or "it failed" if result.exit_code else ""

    def _kubectl(self, *words: str) -> tuple[str, ...]:
        return self.namespace.scope.cluster.context.kubectl("--namespace", self.namespace.name, *words)

    @property
    def _workload(self) -> Workload:
        return self.namespace.scope.workload(self.service)

    def _require_release_whose_traffic_is_free(self, state: State) -> None:
        """Raise Problem where there is no Service, or another pod takes its traffic."""
        live = state.find("Service", self.service)
        if live is None:
            summary = f"{self.service} is not deployed: there is no traffic to take"
            raise Problem(summary, commands=[deploy_command(self.service)])
        if dev_pods.is_intercepted(live):
            others = [dev_pods.who(pod) for pod in dev_pods.of_service(state, self.service) if dev_pods.intercepts(pod)]
            whose = f" of {', '.join(others)}" if others else ", which is gone"
            hint = "end that session; if it was killed, a deploy takes the traffic back"
            summary = f"a dev pod{whose} takes the traffic of {self.service} already"
            raise Problem(summary, hint=hint, commands=[deploy_command(self.service)])

    def _intercept(self, report: Reporter) -> None:
        scope = self.namespace.scope
        with self.namespace.lease.held(report) as held:
            state = self.namespace.read()
            self._require_release_whose_traffic_is_free(state)
            dev_pods.intercept(scope.cluster, scope.project, state.find("Service", self.service) or {})
            wait_until_routed_to(self._workload, self.name, held)
        report.note(f"all requests to {self.service} in {self.namespace.name} come to this pod")

    def check(self, report: Reporter) -> CheckReport:
        """Run the service's checks from this machine, on the pod and the running releases of what it needs."""
        service = self.desired.service
        asked = [need for need in service.needs if any(url_variable(need) in one.curl for one in service.checks)]
        wanted = service.model_copy(update={"needs": asked})
        return self.checks.run(service.checks, addresses(wanted, self._url), report)

    def _url(self, service: str) -> str:
        if service == self.service:
            return self.address
        if service not in self._urls:
            self._urls[service] = self._tunnels.enter_context(self.forward(service, None))
        return self._urls[service]

    def with_evidence(self, problem: Problem, name: str) -> str:  # noqa: ARG002  nothing else was started
        """A problem's details, and behind them the pod's state and last log lines."""
        with suppress(Problem):
            live = self._live()
            if live is None or is_ending(live):
                return "\n".join(filter(None, (self._gone, problem.details)))
            evidence = rollout.evidence(read_pod_snapshot(self._workload, live, full=True))
            return "\n".join(filter(None, (problem.details, evidence)))
        return problem.details

    def record(self, namespaces: Collection[str]) -> None:
        """Annotate the pod with the namespaces that were evaluated in it so far.

        Raises Problem where the pod was removed, also while it still answers what it was asked before.
        """
        self._patched |= {*namespaces}
        marks = {PATCHED: ", ".join(sorted(self._patched))}
        try:
            live = self.namespace.scope.cluster.patch(self._pod, {"metadata": {"annotations": marks}})
        except ApiRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            raise Problem(self._gone, hint="start dev again") from refused
        if is_ending(live):
            raise Problem(self._gone, hint="start dev again")

    @property
    def _gone(self) -> str:
        return f"pod {self.name} is gone: a deploy or `down` of {self.service} has removed it"

    def close(self) -> None:
        """Give the traffic back and remove the pod; what can't be removed now, the next session or a deploy removes."""
        self._tunnels.close()
        scope = self.namespace.scope
        with suppress(Problem):
            if not self._pod or self._live() is None:
                return
            if self.spec.intercept:
                live = scope.cluster.get("v1", "Service", self.service, self.namespace.name)
                dev_pods.give_back(scope.cluster, scope.project, live)
            dev_pods.remove(scope.cluster, [self._pod], null_reporter())

    def _live(self) -> Object | None:
        return self.namespace.scope.cluster.get("v1", "Pod", self.name, self.namespace.name)


def _is_of_a_release(one: Object | None) -> bool:
    """Whether an object stays: one that an earlier session's pod owns goes with that, maybe just now."""
    return one is not None and not one["metadata"].get("ownerReferences")
