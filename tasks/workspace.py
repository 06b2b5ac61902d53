"""The factory of workspaces: the one place that asks what kind of environment a command is about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from slipway.config.models import Config, Environment
from slipway.docker.daemon import DockerDaemon
from slipway.docker.labels import Names
from slipway.engine.limits import ResourceLimit
from slipway.engine.steps import AnyNode, Probe
from slipway.engine.threads import Threads
from slipway.errors import UsageError
from slipway.hosts.host import Host

if TYPE_CHECKING:
    from slipway.clusters.kinds import ClusterSite
    from slipway.flows.environments import ServerSite
    from slipway.flows.fronts import Fronts
    from slipway.flows.workspace import BuildMachine, Workspace
    from slipway.hosts.facts import BuildFacts
    from slipway.installers.bundle import Bundle


@dataclass(frozen=True)
class WorkspaceFactory:
    """What a command knows of its environment. `local` is this machine, `ssh` gives a host by its name in hosts.yaml.

    `reuse` is whether what Leiningen said before counts. `mask` hides the values of secrets in whatever is shown;
    `closing` ends with the command.
    """

    config: Config
    environment: Environment
    local: Host
    ssh: Callable[[str], Host]
    bundle: Bundle | None
    reuse: bool
    mask: Callable[[Sequence[str]], None]
    closing: ExitStack

    @property
    def names(self) -> Names:
        """What things of the project are called in Docker."""
        return Names(self.config.project.name, self.config.project.short)

    def assemble(self) -> Workspace:
        """The workspace; nothing is read or connected yet."""
        from slipway.flows import environments, services
        from slipway.flows.artifacts import Artifacts
        from slipway.flows.secrets import SecretValues
        from slipway.flows.workspace import Workspace

        machine = self.machine
        artifacts = Artifacts(self.names, machine.state)
        site = environments.EnvironmentSite(
            name=self.environment.name,
            config=self.config,
            names=self.names,
            build=machine,
            artifacts=artifacts,
            machine=self._machine_steps(machine),
            server=self._server_site,
            cluster=partial(self._cluster_site, machine),
            fronts=self._fronts,
        )
        found = environments.assemble(self._family, site)
        made = found.deployments
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
            environment=found.environment,
            lifecycle=found.lifecycle,
            dev=found.dev,
            closing=self.closing,
        )

    def prefetch_state(self) -> None:
        """Begin to read what services run on this machine's Docker, while the command imports what it runs."""
        if self._family == "docker":
            import slipway.docker.engine  # noqa: F401  before threads use it: two must not import it at once

            Threads(1).submit(self.machine.state.facts)  # an error is raised again by its first step

    def prefetch_secrets(self, work: Workspace) -> None:
        """Begin to read the generated secrets of those services."""
        if self._family == "docker":
            Threads(1).submit(work.secrets.stored.facts)

    @property
    def _family(self) -> str:
        """The kind of the environment, of those in `ENVIRONMENTS`."""
        if self.environment.on_docker:
            return "server" if self.environment.host else "docker"
        return "cluster"

    @cached_property
    def machine(self) -> BuildMachine:
        """The machine that builds: this one."""
        from slipway.checks.runner import CurlRunner, one_by_one
        from slipway.deployers.docker import warm_end
        from slipway.flows.at_the_end import AtTheEnd
        from slipway.flows.workspace import BuildMachine

        later = AtTheEnd()
        self.closing.callback(later.run)
        host, docker = self.local, DockerDaemon(self.local, self.closing)
        return BuildMachine(
            host=host,
            docker=docker,
            probe=Probe(partial(_build_facts, host, self.config.tools.java.minimum)),
            state=Probe(partial(docker.state, self.config.project.name)),
            checks=CurlRunner(one_by_one(host.run)),
            clojars=Probe(partial(_clojars_answers, host)),
            compilers=ResourceLimit("another Leiningen", os.cpu_count() or 1),  # more would take each other's memory
            reuse=self.reuse,
            later=later,
            end_later=warm_end.end_later if self.reuse and not os.environ.get("CI") else None,
        )

    @property
    def _fronts(self) -> Fronts:
        """What stands in front of services: the edge of those that are exposed, and then, or if wanted, proxies."""
        from slipway.flows.fronts import Fronts

        exposed = any(self.config.service_for(self.environment, name).expose for name in self.config.services)
        wanted = {"proxy": self.environment.proxy or exposed, "edge": exposed}
        names = [name for name, needed in wanted.items() if needed and self.environment.on_docker]
        parts = self.config.images.parts
        for name in names:
            if name not in parts:
                summary = f"environment {self.environment.name} needs a {name}; config/images.yaml has no image of one"
                raise UsageError(summary, hint=f"give it `parts: {{{name}: …}}`, as Slipway's own images.yaml has it")
        return Fronts({name: parts[name] for name in names}, self.environment.acme)

    def _machine_steps(self, machine: BuildMachine) -> Callable[[], Iterator[AnyNode]]:
        """What this machine needs to build, where setup prepares it, and not the SSH host that services run on."""
        if self.environment.host:
            return _nothing
        bases = self.environment.on_docker or bool(self.environment.context)  # a Minikube gets all images of a bundle
        return partial(_build_machine_steps, self.config, machine, self.bundle, bases=bases)

    def host_steps(self, host: Host) -> Iterator[AnyNode]:
        """What an SSH host needs: Docker where that runs the environment's services, else a cluster up to its tools."""
        from slipway.clusters import kinds

        if self._family == "server":
            return self._server_on(host).install()
        return kinds.tools(self._site_on(host, self.environment.cluster_spec.kind))

    def _server_site(self) -> ServerSite:
        """The SSH host whose Docker runs the environment's services."""
        return self._server_on(self.ssh(self.environment.host or ""))

    def _server_on(self, host: Host) -> ServerSite:
        from slipway.clusters.system_images import SystemImages
        from slipway.flows import setup
        from slipway.flows.environments import ServerSite

        config, project = self.config, self.config.project.name
        docker = DockerDaemon(host, self.closing)
        state = Probe(partial(docker.state, project))
        return ServerSite(
            host=host,
            images=SystemImages(project, config.images, docker, state),
            install=partial(setup.server, config, host, docker, state, self.bundle),
            closing=self.closing,
        )

    def _cluster_site(self, machine: BuildMachine) -> ClusterSite:
        """What the environment's cluster is put together from: a Minikube here or on an SSH host, or a context's."""
        environment = self.environment
        kind = "context" if environment.context else environment.cluster_spec.kind
        if environment.host:
            return self._site_on(self.ssh(environment.host), kind)
        return self._site_on(machine.host, kind, machine)

    def _site_on(self, host: Host, kind: str, machine: BuildMachine | None = None) -> ClusterSite:
        """The site of a cluster on `host`, which is an SSH host unless it is the `machine` that builds."""
        from slipway.clusters.kinds import ClusterSite
        from slipway.clusters.system_images import SystemImages
        from slipway.flows import setup

        config, environment, project = self.config, self.environment, self.config.project.name
        remote = machine is None
        docker = machine.docker if machine else DockerDaemon(host, self.closing)
        state = machine.state if machine else Probe(partial(docker.state, project))
        return ClusterSite(
            environment=environment.name,
            kind=kind,
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


def _build_facts(host: Host, java: int) -> BuildFacts:
    from slipway.engine.reporter import null_reporter
    from slipway.hosts import facts
    from slipway.hosts.host import script

    return facts.parse_build(host.run(script(facts.build_script(java), timeout=20), null_reporter()).text)


def _clojars_answers(host: Host) -> bool:
    from slipway.installers.java import clojars_answers

    return clojars_answers(host.probe.facts())


def _build_machine_steps(
    config: Config, machine: BuildMachine, bundle: Bundle | None, *, bases: bool
) -> Iterator[AnyNode]:
    from slipway.flows.setup import build_machine  # with all installers, which only `setup` and `up` need

    return build_machine(config, machine, bundle, bases=bases)


def _only_tools(tools: Callable[[], Iterator[AnyNode]]) -> Iterator[AnyNode]:
    """The machine itself is prepared elsewhere."""
    return tools()


def _nothing() -> Iterator[AnyNode]:
    """No steps: the machine that builds is not the environment's to prepare."""
    return iter(())
