"""The factory of workspaces: the one place that asks what kind of environment a command is about."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from slipway.checks.runner import CurlRunner
from slipway.clusters.lifecycle import NoLifecycle
from slipway.config.models import Config
from slipway.deployers.docker import deployer as docker_deployer
from slipway.deployers.docker.container import Names
from slipway.docker.daemon import DockerDaemon
from slipway.engine.steps import Node, Probe, Reporter, ResourceLimit
from slipway.flows import setup
from slipway.flows.artifacts import Artifacts
from slipway.flows.docker_environment import DockerEnvironment
from slipway.flows.secrets import SecretValues
from slipway.flows.services import Services
from slipway.flows.workspace import BuildMachine, Workspace
from slipway.hosts.host import step_title
from slipway.installers import java

if TYPE_CHECKING:
    from slipway.deployers.kubernetes.release_store import State as ClusterState
    from slipway.hosts.host import Host
    from tasks.invocation import Invocation


def assemble(invocation: Invocation) -> Workspace:
    """The workspace of a command's environment. Nothing is read or connected yet."""
    config, closing = invocation.config, invocation.closing
    machine = build_machine(config, invocation.machine, closing)
    if invocation.environment.local:
        return on_docker(invocation, machine)
    return on_cluster(invocation, machine)


def build_machine(config: Config, host: Host, closing: ExitStack) -> BuildMachine:
    """The machine that builds: where Slipway runs."""
    docker = DockerDaemon(host, closing)
    return BuildMachine(
        host=host,
        docker=docker,
        state=Probe(partial(docker.state, config.project.name)),
        checks=CurlRunner(host.run),
        clojars=Probe(lambda: java.reachable(host.probe.facts())),
        compilers=ResourceLimit("another Leiningen", os.cpu_count() or 1),  # more would only take each other's memory
    )


def on_docker(invocation: Invocation, machine: BuildMachine) -> Workspace:
    """Services run on the Docker that builds them."""
    config, environment = invocation.config, invocation.environment
    names = Names(config.project.name, config.project.short)
    deployments = docker_deployer.deployments(machine.docker, names, machine.state, machine.checks)
    mask = invocation.session.mask
    secrets = SecretValues(config, environment, deployments.secret_store, deployments.state, mask)
    services = Services(config, environment, deployments.deployer, secrets)
    artifacts = Artifacts(names, services, machine.state)
    steps = partial(setup.build_machine, config, machine, invocation.bundle, bases=True)
    run = DockerEnvironment(config, services, artifacts, machine.docker, machine.state, steps)
    lifecycle = NoLifecycle(environment.name)
    return Workspace(
        config, environment.name, names, machine, services, secrets, artifacts, deployments, run, lifecycle,
        invocation.closing,
    )  # fmt: skip


def on_cluster(invocation: Invocation, machine: BuildMachine) -> Workspace:
    """Services run on a cluster: a Minikube of this machine or of an SSH host, or the one behind a context."""
    from slipway.clusters.cluster import Cluster, state_of
    from slipway.clusters.context import ContextCluster
    from slipway.clusters.minikube_cluster import MinikubeCluster, MinikubeLifecycle
    from slipway.clusters.system_images import SystemImages
    from slipway.deployers.kubernetes import deployer as kubernetes_deployer
    from slipway.deployers.kubernetes.check_pod import check_pod
    from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
    from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
    from slipway.flows.cluster_environment import ClusterEnvironment
    from slipway.installers import minikube
    from slipway.installers.minikube import PROFILE
    from slipway.kubernetes.api import KubeContext
    from slipway.kubernetes.client import Cluster as Client
    from slipway.kubernetes.kubeconfig import tunnelled_kubeconfig
    from slipway.kubernetes.volumes import NodeVolumes

    config, environment, bundle = invocation.config, invocation.environment, invocation.bundle
    project, closing = config.project.name, invocation.closing
    names, namespace_name = Names(project, config.project.short), environment.namespace or project
    run_host: Host = invocation.ssh(environment.host) if environment.host else machine.host
    run_docker = DockerDaemon(run_host, closing) if environment.host else machine.docker
    run_state = Probe(partial(run_docker.state, project)) if environment.host else machine.state
    kubeconfig = partial(tunnelled_kubeconfig, run_host, PROFILE, closing) if environment.host else None
    client = Client(KubeContext(environment.context or PROFILE, kubeconfig))
    images = SystemImages(project, config.images, run_docker, run_state)
    cluster: Cluster
    if environment.context:
        tools = partial(minikube.kubectl, machine.host, config.tools, bundle)
        unmanaged = NoLifecycle(environment.name)
        registry = environment.registry or ""
        cluster = ContextCluster(unmanaged, client, run_host, run_docker, images, tools, registry)
    else:
        spec = environment.cluster_spec
        lifecycle = MinikubeLifecycle(environment.name, run_host, run_docker, run_state, spec)
        target = setup.HostTarget(run_host, run_docker, run_state, spec, bundle)
        prepare = setup.ssh_host if environment.host else setup.minikube_host
        volumes = NodeVolumes(client, run_docker, PROFILE, project, namespace_name)
        cluster = MinikubeCluster(
            lifecycle, volumes, images, partial(prepare, config, target), bool(environment.host),
            environment.registry or "",
        )  # fmt: skip

    def probe_image(report: Reporter) -> str:
        return images.bring("probe", cluster.registry, report)

    def read() -> ClusterState:
        return state_of(namespace, cluster.lifecycle)

    who = f"{getpass.getuser()}@{socket.gethostname()} (pid {os.getpid()})"
    checks = partial(check_pod, client, project, namespace_name, run_host.run, probe_image)
    scope = NamespaceScope(client, project, namespace_name, run_host, checks, who)
    namespace = ProjectNamespace(scope, Probe(read), cluster.volumes)
    deployments = kubernetes_deployer.deployments(namespace)
    mask = invocation.session.mask
    secrets = SecretValues(config, environment, deployments.secret_store, deployments.state, mask)
    services = Services(config, environment, deployments.deployer, secrets)
    artifacts = Artifacts(names, services, machine.state)
    bases = bool(environment.context)  # a Minikube gets all images of a bundle
    steps = _nothing if environment.host else partial(setup.build_machine, config, machine, bundle, bases=bases)
    run = ClusterEnvironment(
        name=environment.name,
        cluster=cluster,
        title=step_title(run_host, f"cluster {PROFILE}"),
        namespace=namespace,
        releases=deployments.releases,
        services=services,
        artifacts=artifacts,
        build=machine,
        run_state=run_state,
        images=images,
        machine=steps,
    )
    return Workspace(
        config, environment.name, names, machine, services, secrets, artifacts, deployments, run, cluster.lifecycle,
        closing,
    )  # fmt: skip


def _nothing() -> Iterator[Node[Any]]:
    """No steps: the machine that builds is not the environment's to prepare."""
    return iter(())
