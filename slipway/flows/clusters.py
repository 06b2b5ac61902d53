"""The chapter of the story that only clusters have: a Minikube, a namespace, what they lack, images brought there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from slipway.engine.steps import Change, Probe, Reporter, Step, function_step
from slipway.errors import UsageError
from slipway.flows.workspace import Workspace
from slipway.hosts.host import step_title
from slipway.installers import minikube as minikube_tool

if TYPE_CHECKING:
    from slipway.kubernetes.volumes import Storage


def cluster(here: Workspace, *, after: tuple[str, ...] = ()) -> Step[Any]:
    """The Minikube behind an environment, running."""

    def differs(facts: Any) -> Change | None:
        if facts.down and here.environment.minikube:
            minikube_tool.room(here.run_host.probe.facts(), here.environment.cluster_spec)
        minikube_tool.runtime(facts.runtimes, here.environment.cluster_spec)
        return Change(facts.down) if facts.down else None

    def start(report: Reporter) -> None:
        tags = {tag for image in here.run_docker_state.facts().images for tag in image.tags}
        resumes = minikube_tool.launch(here.run_host, here.run_docker, here.environment.cluster_spec, tags, report)
        here.cluster_target.cluster.forget()
        if resumes and (started := here.run_docker.find(minikube_tool.PROFILE)):
            here.cluster_target.resumed(started.started, report)

    title = step_title(here.run_host, f"cluster {minikube_tool.PROFILE}")
    invalidates = (here.state, here.run_docker_state)
    return function_step("cluster", title, here.live, differs, start, after, invalidates=invalidates)


def prepared(here: Workspace, names: Sequence[str], *, after: tuple[str, ...]) -> Iterator[Step[Any]]:
    """What a cluster needs before services are rolled out there."""
    yield cluster(here, after=after)
    yield namespace(here, after=("cluster",))
    yield platform(here, names, after=("cluster",))
    if here.environment.minikube and any(here.service(name).autoscale for name in names):
        yield metrics(here)
    if here.cluster_target.storage and any(here.service(name).storage for name in names):
        yield storage(here, here.cluster_target.storage, names)


def awaited(here: Workspace, name: str) -> tuple[str, ...]:
    """The ids of the steps of `prepared` and `delivery` that a service's release waits for."""
    service, ours = here.service(name), here.environment.minikube
    lacking = (("metrics", service.autoscale), ("storage", service.storage))
    return (f"{name}/delivery", *(step for step, wanted in lacking if ours and wanted))


def namespace(here: Workspace, *, after: tuple[str, ...] = ()) -> Step[Any]:
    """The project's namespace, which lets no pod have privileges (Pod Security Standard `restricted`)."""
    target = here.cluster_target

    def differs(facts: Any) -> Change | None:
        return None if facts.namespace else Change(f"there is no namespace {target.where.namespace}")

    return function_step("namespace", f"namespace {target.where.namespace}", here.live, differs, target.settle, after)


def platform(here: Workspace, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Step[Any]:
    """Whether the nodes get and run what is built here. There is nothing to mend, only to say, before it is built."""
    target = here.cluster_target

    def fits(found: set[str] | None) -> None:
        mine = here.host.probe.facts().platform if found else ""
        if found and mine not in found:
            summary = f"images built here are for {mine}, the cluster's nodes for {', '.join(sorted(found))}"
            raise UsageError(summary, hint="deploy from a machine like the nodes")
        if any(here.released(name) is None for name in names):
            here.reachable()

    def there() -> set[str] | None:
        """The platforms that the nodes have; a Minikube has its machine's, so that only other clusters are asked."""
        if not here.environment.minikube:
            return target.platforms()
        return None if here.run_host is here.host else {here.run_host.probe.facts().platform}

    probe = Probe(there)
    return function_step("platform", "the nodes' platform", probe, fits, lambda _: None, after)


def metrics(here: Workspace) -> Step[Any]:
    """The metrics that autoscaling reads, where a Minikube lacks them."""
    from slipway.clusters import metrics_server as server

    def install(report: Reporter) -> None:
        server.install(here.cluster_target.cluster, here.brought("metrics-server", report), report)

    probe = Probe(lambda: server.read(here.cluster_target.cluster))
    return function_step("metrics", "metrics for autoscaling", probe, server.differs, install, ("cluster",))


def storage(here: Workspace, volumes: Storage, names: Sequence[str]) -> Step[Any]:
    """The volumes that claims bind to, where a Minikube makes none by itself."""
    services = [here.service(name) for name in names if here.service(name).storage]

    def differs(facts: Any) -> Change | None:
        return volumes.differs(facts, services)

    probe = Probe(volumes.read)
    return function_step(
        "storage", "volumes", probe, differs, lambda report: volumes.provide(services, report), ("namespace",)
    )


def delivery(here: Workspace, name: str) -> Step[Any]:
    """A service's image brought to the cluster, missing layers only, and seen there before its rollout begins."""

    def differs(_: object) -> Change | None:
        there = name in here.delivered or here.released(name)
        return None if there else Change("the cluster does not have this image")

    def bring(report: Reporter) -> None:
        place = f"{here.config.project.name}/{name}"
        digest = here.sources(name).facts().digest
        here.delivered[name] = here.delivery(report).deliver(here.built(name) or "", place, digest, report)

    probe = here.docker_if_needed(here.released, [name])
    return function_step(f"{name}/delivery", f"{name}: delivery", probe, differs, bring, (f"{name}/smoke",))
