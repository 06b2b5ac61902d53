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
    from slipway.clusters.kinds import ClusterSite
    from slipway.deployers.kubernetes.release_store import State as ClusterState
    from slipway.docker.protocols import Daemon
    from slipway.docker.state import State


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
        from slipway.clusters import kinds
        from slipway.clusters.cluster import state_of
        from slipway.deployers.kubernetes import deployer as kubernetes_deployer
        from slipway.deployers.kubernetes.check_pod import check_pod
        from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
        from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
        from slipway.flows.cluster_environment import ClusterEnvironment

        environment, project = self.environment, self.config.project.name
        host: Host = self.ssh(environment.host) if environment.host else machine.host
        docker = DockerDaemon(host, self.closing) if environment.host else machine.docker
        docker_state = Probe(partial(docker.state, project)) if environment.host else machine.state
        site = self._site(host, docker, docker_state, remote=bool(environment.host))
        cluster = kinds.assemble("context" if environment.context else site.spec.kind, site)

        def probe_image(report: Reporter) -> str:
            return site.images.bring("probe", cluster.registry, report)

        def read() -> ClusterState:
            return state_of(namespace, cluster.lifecycle)

        client, name = cluster.client, site.namespace
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
            title=step_title(host, f"cluster {client.context.name}"),
            namespace=namespace,
            releases=made.releases,
            artifacts=artifacts,
            build=machine,
            run_state=docker_state,
            images=site.images,
            machine=_nothing if environment.host else steps,
        )
        return self._workspace(machine, made, artifacts, environment=run, lifecycle=cluster.lifecycle)

    def host_steps(self, host: Host) -> Iterator[AnyNode]:
        """What an SSH host needs for a cluster of the environment's kind, up to its tools."""
        from slipway.clusters import kinds

        docker = DockerDaemon(host, self.closing)
        state = Probe(partial(docker.state, self.config.project.name))
        site = self._site(host, docker, state, remote=True)
        return kinds.assemble(site.spec.kind, site).tools()

    def _site(self, host: Host, docker: Daemon, state: Probe[State], *, remote: bool) -> ClusterSite:
        """What a cluster of the environment is put together from; `remote` is whether its host is an SSH host."""
        from slipway.clusters.kinds import ClusterSite
        from slipway.clusters.system_images import SystemImages

        config, environment, project = self.config, self.environment, self.config.project.name
        return ClusterSite(
            environment=environment.name,
            spec=environment.cluster_spec,
            context=environment.context or "",
            registry=environment.registry or "",
            namespace=environment.namespace or project,
            host=host,
            remote=remote,
            images=SystemImages(project, config.images, docker, state),
            tools=config.tools,
            bundle=self.bundle,
            prepare=partial(setup.ssh_host, config, host, docker, self.bundle) if remote else _only_tools,
            closing=self.closing,
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


def _only_tools(tools: Callable[[], Iterator[AnyNode]]) -> Iterator[AnyNode]:
    """The machine itself is prepared elsewhere."""
    return tools()


def _nothing() -> Iterator[AnyNode]:
    """No steps: the machine that builds is not the environment's to prepare."""
    return iter(())
