"""Where services run, and with what: cluster.*, env.*, bundle.*, render."""

from __future__ import annotations

from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any

from slipway.errors import Problem, UsageError
from tasks import tables
from tasks.flags import folder
from tasks.task import verb

if TYPE_CHECKING:
    from slipway.engine.steps import Reporter
    from tasks.invocation import Invocation


@verb(changes=True)
def start(command: Invocation) -> None:
    """Start the Minikube behind an environment, or make it.

    Example:
      ./invoke cluster.start --env minikube

    """
    command.workspace.lifecycle.ensure_managed()
    command.run(list(command.workspace.environment.start()))


@verb(changes=True)
def stop(command: Invocation) -> None:
    """Stop the Minikube behind an environment; what is on it stays.

    Example:
      ./invoke cluster.stop --env minikube

    """
    lifecycle = command.workspace.lifecycle
    lifecycle.ensure_managed()
    command.deed("stop the cluster", lifecycle.stop)


@verb(changes=True, confirm=True)
def delete(command: Invocation) -> None:
    """Remove the Minikube behind an environment and everything on it: workloads, data, secrets and history.

    Example:
      ./invoke cluster.delete --env minikube

    """
    lifecycle = command.workspace.lifecycle
    lifecycle.ensure_managed()
    command.deed("remove the cluster", lifecycle.delete)


@verb()
def status(command: Invocation) -> None:
    """Whether the cluster answers, and what is asked of its nodes.

    Example:
      ./invoke cluster.status --env minikube

    """
    if command.environment.local:
        raise _none(command)
    nodes = command.workspace.deployments.status.nodes()
    if command.session.machine_readable:
        command.session.print_json({"environment": command.environment.name, "nodes": nodes})
        return
    tables.nodes(command.session, nodes)


def _none(command: Invocation) -> Problem:
    summary = f"there is no Minikube behind environment {command.environment.name}"
    return UsageError(summary, hint="--env minikube")


@verb(graph="print a Mermaid flowchart of the services instead")
def environments(command: Invocation, *, graph: bool = False) -> None:
    """The environments, which of them this checkout uses by default, and the services with what they need.

    Examples:
      ./invoke env.list
      ./invoke env.list --graph       a Mermaid flowchart, to paste into Markdown

    """
    if graph:
        from tasks.mermaid import Node, flowchart

        nodes = (Node(s.name, s.port, s.needs, store=not s.leiningen) for s in command.config.services.values())
        command.session.print_raw(flowchart(nodes, f"The services of {command.config.project.name}"))
        return
    from slipway.config.load import default_environment
    from tasks.invocation import ROOT

    default = default_environment(ROOT)
    rows = [
        (name, "default" if name == default else "", place(one))
        for name, one in sorted(command.config.environments.items())
    ]
    services = sorted(command.config.services.values(), key=lambda one: one.name)
    if command.session.machine_readable:
        shown = [{"name": name, "default": bool(mark), "place": where} for name, mark, where in rows]
        listed = [{"name": s.name, "version": s.version, "port": s.port, "needs": list(s.needs)} for s in services]
        command.session.print_json({"environments": shown, "services": listed})
        return

    tables.table(command.session, ("environment", "", "place"), rows)
    command.session.print()
    listing = [(s.name, s.version, str(s.port), ", ".join(s.needs) or "-") for s in services]
    tables.table(command.session, ("service", "version", "port", "needs"), listing)


def place(environment: Any) -> str:
    """Where an environment is, in words."""
    if environment.local:
        return "this machine's Docker, one container per service"
    if environment.host:
        return f"a Minikube on SSH host {environment.host}"
    if environment.context:
        return f"kubeconfig context {environment.context}"
    return "a Minikube on this machine"


@verb(name="local or minikube")
def use(command: Invocation, name: str = "") -> None:
    """Choose this checkout's default environment.

    Example:
      ./invoke env.use --name minikube

    """
    if not name:
        raise UsageError("which environment?", hint="--name local, or --name minikube")
    command.use(name)
    command.session.print(f"the default {'would be' if command.plan else 'is now'} {name}")


@verb(service="services, separated by commas; default: all")
def render(command: Invocation, service: str = "") -> None:
    """The manifests of a cluster environment, to standard output; no secret's value is in them.

    Example:
      ./invoke render --env minikube --service auth

    """
    from ruamel.yaml import YAML

    from slipway.flows.selection import select
    from slipway.kubernetes.manifests.namespace import namespace as namespace_object
    from slipway.kubernetes.manifests.render import IMAGE, redacted
    from slipway.kubernetes.manifests.render import render as render_service
    from slipway.kubernetes.objects import Object

    config, environment = command.config, command.environment
    namespace = environment.namespace or config.project.name
    found: list[Object] = []
    for one in select(command.workspace.services, service).chosen:
        hidden = dict.fromkeys(one.settings.secrets, "***")
        found += render_service(config.project.name, namespace, one.settings, IMAGE, hidden)
    yaml = YAML()
    text = StringIO()
    yaml.dump_all([namespace_object(config.project.name, namespace), *redacted(found)], text)
    command.session.print_raw(text.getvalue())


@verb(dir="the folder to fill", platform="of the hosts that will use it")
def create(command: Invocation, dir: str = "", platform: str = "linux/amd64") -> None:  # noqa: A002  the flag's name
    """Download what config/ pins into a folder, each file checked; a broken download goes on where it broke.

    Docker's packages are those of this machine's own release, fetched by its apt; a base image that has a recipe alone,
    as PostgreSQL's, is made here.

    Example:
      ./invoke bundle.create --dir ~/slipway-bundle

    """
    from slipway.engine.steps import one_shot
    from slipway.flows.build import provide_base
    from slipway.installers.bundle_create import BundleBuilder

    work, filled = command.workspace, folder(command, dir)

    def act(report: Reporter) -> None:
        machine = work.build
        base = partial(provide_base, work)
        BundleBuilder(command.config, machine.host, machine.docker, platform, filled, base).build(report)

    command.run([one_shot("bundle", f"bundle in {filled}", act)])


@verb(dir="the bundle's folder")
def verify(command: Invocation, dir: str = "") -> None:  # noqa: A002  the flag's name
    """Name every file of a bundle that is missing or not what was pinned.

    Example:
      ./invoke bundle.verify --dir ~/slipway-bundle

    """
    from slipway.installers.bundle import Bundle

    bundle = Bundle(folder(command, dir))
    faults = bundle.faults(command.reporter())
    if faults:
        raise Problem(
            f"{len(faults)} of {len(bundle.files)} files are bad", details="\n".join(faults), hint="make it again"
        )
    command.session.print(f"all {len(bundle.files)} files are what was pinned")
