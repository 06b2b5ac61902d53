"""The factory of workspaces: the one place that asks what kind of environment a command is about."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from slipway.checks.runner import CurlRunner
from slipway.clusters.lifecycle import NoLifecycle
from slipway.config.models import Config, Environment
from slipway.deployers.deployments import Deployments
from slipway.deployers.docker import deployer as docker_deployer
from slipway.docker.daemon import DockerDaemon
from slipway.docker.labels import Names
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Probe, ResourceLimit
from slipway.flows import services, setup
from slipway.flows.artifacts import Artifacts
from slipway.flows.docker_environment import DockerEnvironment
from slipway.flows.secrets import SecretValues
from slipway.flows.workspace import BuildMachine, Workspace
from slipway.hosts.host import Host, step_title
from slipway.installers import java
from slipway.installers.bundle import Bundle

if TYPE_CHECKING:
    from slipway.clusters.cluster import Cluster
    from slipway.clusters.system_images import SystemImages
    from slipway.deployers.kubernetes.release_store import State as ClusterState
    from slipway.docker.protocols import Daemon
    from slipway.docker.state import State
    from slipway.kubernetes.client import Cluster as Client


@dataclass(frozen=True)
class WorkspaceFactory:
    """What a command knows of its environment. `local` is this machine, `ssh` gives a host by its name in hosts.yaml.

    `mask` hides the values of secrets in whatever is shown; `closing` ends with the command.
    """

    config: Config
    environment: Environment
    local: Host
    ssh: Callable[[str], Host]
    bundle: Bundle | None
    mask: Callable[[Sequence[str]], None]
    closing: ExitStack

    @property
    def names(self) -> Names:
        """What things of the project are called in Docker."""
        return Names(self.config.project.name, self.config.project.short)

    def assemble(self) -> Workspace:
        """The workspace; nothing is read or connected yet."""
        machine = self.build_machine()
        return self.on_docker(machine) if self.environment.local else self.on_cluster(machine)

    def build_machine(self) -> BuildMachine:
        """The machine that builds: this one."""
        host, docker = self.local, DockerDaemon(self.local, self.closing)
        return BuildMachine(
            host=host,
            docker=docker,
            state=Probe(partial(docker.state, self.config.project.name)),
            checks=CurlRunner(host.run),
            clojars=Probe(lambda: java.clojars_answers(host.probe.facts())),
            compilers=ResourceLimit("another Leiningen", os.cpu_count() or 1),  # more would take each other's memory
        )

    def on_docker(self, machine: BuildMachine) -> Workspace:
        """Services run on the Docker that builds them."""
        made = docker_deployer.deployments(machine.docker, self.names, machine.state, machine.checks)
        artifacts = Artifacts(self.names, machine.state)
        steps = partial(setup.build_machine, self.config, machine, self.bundle, bases=True)
        run = DockerEnvironment(self.config, artifacts, machine.docker, machine.state, steps)
        return self._workspace(machine, made, artifacts, environment=run, lifecycle=NoLifecycle(self.environment.name))

    def on_cluster(self, machine: BuildMachine) -> Workspace:
        """Services run on a cluster: a Minikube of this machine or of an SSH host, or the one behind a context."""
        from slipway.clusters.cluster import state_of
        from slipway.clusters.minikube import PROFILE
        from slipway.deployers.kubernetes import deployer as kubernetes_deployer
        from slipway.deployers.kubernetes.check_pod import check_pod
        from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
        from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
        from slipway.flows.cluster_environment import ClusterEnvironment

        environment, project = self.environment, self.config.project.name
        host: Host = self.ssh(environment.host) if environment.host else machine.host
        docker = DockerDaemon(host, self.closing) if environment.host else machine.docker
        docker_state = Probe(partial(docker.state, project)) if environment.host else machine.state
        cluster, client, images = self._cluster(host, docker, docker_state)

        def probe_image(report: Reporter) -> str:
            return images.bring("probe", cluster.registry, report)

        def read() -> ClusterState:
            return state_of(namespace, cluster.lifecycle)

        name = environment.namespace or project
        who = f"{getpass.getuser()}@{socket.gethostname()} (pid {os.getpid()})"
        checks = partial(check_pod, client, project, name, host.run, probe_image)
        scope = NamespaceScope(client, project, name, host, checks, who)
        namespace = ProjectNamespace(scope, Probe(read), cluster.volumes)
        made, artifacts = kubernetes_deployer.deployments(namespace), Artifacts(self.names, machine.state)
        bases = bool(environment.context)  # a Minikube gets all images of a bundle
        steps = partial(setup.build_machine, self.config, machine, self.bundle, bases=bases)
        run = ClusterEnvironment(
            name=environment.name,
            cluster=cluster,
            title=step_title(host, f"cluster {PROFILE}"),
            namespace=namespace,
            releases=made.releases,
            artifacts=artifacts,
            build=machine,
            run_state=docker_state,
            images=images,
            machine=_nothing if environment.host else steps,
        )
        return self._workspace(machine, made, artifacts, environment=run, lifecycle=cluster.lifecycle)

    def host_target(self, host: Host, docker: Daemon, state: Probe[State]) -> setup.HostTarget:
        """A host that is to get a Minikube."""
        from slipway.clusters.minikube_cluster import host_tools

        spec = self.environment.cluster_spec
        tools = partial(host_tools, host, self.config.tools, docker, state, spec, self.bundle)
        return setup.HostTarget(host, docker, self.bundle, tools)

    def _cluster(self, host: Host, docker: Daemon, state: Probe[State]) -> tuple[Cluster, Client, SystemImages]:
        """The cluster of its kind, the client of its API, and the images that Slipway itself runs on it."""
        from slipway.clusters import minikube
        from slipway.clusters.context import ContextCluster
        from slipway.clusters.minikube_cluster import MinikubeCluster, MinikubeLifecycle
        from slipway.clusters.system_images import SystemImages
        from slipway.clusters.volumes import NodeVolumes
        from slipway.installers import kubectl
        from slipway.kubernetes.api import KubeContext
        from slipway.kubernetes.client import Cluster as Client
        from slipway.kubernetes.kubeconfig import tunnelled_kubeconfig

        config, environment, project = self.config, self.environment, self.config.project.name
        images = SystemImages(project, config.images, docker, state)
        registry, name = environment.registry or "", environment.namespace or project
        if environment.context:
            client = Client(KubeContext(environment.context))
            tools = partial(kubectl.steps, host, config.tools, self.bundle)
            lifecycle = NoLifecycle(environment.name)
            return ContextCluster(lifecycle, client, host, docker, images, tools, registry), client, images
        profile = minikube.PROFILE
        client = Client(
            KubeContext(
                profile, partial(tunnelled_kubeconfig, host, profile, self.closing) if environment.host else None
            )
        )
        target = self.host_target(host, docker, state)
        prepare = partial(setup.ssh_host, config, target) if environment.host else target.tools
        own = MinikubeLifecycle(environment.name, host, docker, state, environment.cluster_spec)
        volumes = NodeVolumes(client, docker, profile, project, name)
        remote = bool(environment.host)
        return (
            MinikubeCluster(own, volumes, images, prepare, remote, registry),
            client,
            images,
        )

    def _workspace(
        self, machine: BuildMachine, made: Deployments[Any, Any], artifacts: Artifacts, **where: Any
    ) -> Workspace:
        secrets = SecretValues(self.config, self.environment, made.secret_store, made.state, self.mask)
        return Workspace(
            config=self.config,
            name=self.environment.name,
            names=self.names,
            build=machine,
            services=services.resolve(self.config, self.environment, made.deployer, secrets),
            secrets=secrets,
            artifacts=artifacts,
            deployments=made,
            closing=self.closing,
            **where,
        )


def _nothing() -> Iterator[AnyNode]:
    """No steps: the machine that builds is not the environment's to prepare."""
    return iter(())
