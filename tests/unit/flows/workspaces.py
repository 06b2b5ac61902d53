"""Workspaces over fakes: flows are driven without a Docker, a cluster, or a build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from slipway.checks.fake import FakeCheckRunner
from slipway.clusters.lifecycle import NoLifecycle
from slipway.config.expose import Acme
from slipway.config.models import Config, Environment, Hosts, Project, Service
from slipway.config.versions import Images, Tools
from slipway.deployers.deployments import Deployments
from slipway.deployers.docker.deployer import deployments
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.engine.limits import ResourceLimit
from slipway.engine.steps import Probe
from slipway.flows import services
from slipway.flows.artifacts import Artifacts
from slipway.flows.docker_dev import DockerDev
from slipway.flows.docker_environment import DockerEnvironment
from slipway.flows.fronts import Fronts
from slipway.flows.secrets import SecretValues
from slipway.flows.workspace import BuildMachine, Workspace
from slipway.hosts.facts import BuildFacts, Facts
from slipway.hosts.fake import FakeHost

FACTS = Facts("Linux", "x86_64")


def project(folder: Path, given: Sequence[Service], environment: Environment | None = None) -> Config:
    """A project of these services, each with a folder of its own, and one environment."""
    for service in given:
        (folder / service.name).mkdir(parents=True, exist_ok=True)
        (folder / service.name / "Dockerfile").touch()
    environment = environment or Environment(name="local")
    return Config(
        root=folder,
        folder=folder,
        project=Project(name="shop", short="sh"),
        environments={environment.name: environment},
        hosts=Hosts(),
        tools=Tools(),
        images=Images(),
        services={one.name: one.model_copy(update={"folder": folder / one.name}) for one in given},
    )


def build_machine(daemon: FakeDaemon | None = None, checks: FakeCheckRunner | None = None) -> BuildMachine:
    """A machine with a Docker in memory."""
    docker = daemon or FakeDaemon()
    state = Probe(lambda: docker.state("shop"))
    checks = checks or FakeCheckRunner()
    probe = Probe[BuildFacts](lambda: FACTS)
    host, clojars = FakeHost("here", FACTS), Probe(lambda: True)
    return BuildMachine(host, docker, probe, state, checks, clojars, ResourceLimit("lein", 1))


def workspace(
    config: Config,
    machine: BuildMachine | None = None,
    made: Deployments[Any, Any] | None = None,
    mask: Callable[[Sequence[str]], None] = lambda _: None,
) -> Workspace:
    """A workspace of a project whose services run on the machine's own Docker, or in `made`."""
    machine = machine or build_machine()
    (environment,) = config.environments.values()
    names = Names(config.project.name, config.project.short)
    made = made or deployments(machine.docker, names, machine.state, machine.checks)
    secrets = SecretValues(config, environment, made.secret_store, made.state, mask)
    resolved = services.resolve(config, environment, made.deployer, secrets)
    artifacts = Artifacts(names, machine.state)
    run = DockerEnvironment(config, artifacts, machine, Fronts({}, Acme()), lambda: iter(()))
    lifecycle = NoLifecycle(environment.name)
    dev = DockerDev(machine.docker, names, machine.checks)
    return Workspace(
        config, environment.name, names, machine, resolved, secrets, artifacts, made, run, lifecycle, dev, ExitStack()
    )
