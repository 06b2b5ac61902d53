"""env.*, the environments of a project; and `render`, what a cluster of one would be sent."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from slipway.errors import UsageError
from tasks import tables
from tasks.flags import SERVICES
from tasks.task import command

if TYPE_CHECKING:
    from slipway.config.models import Config
    from tasks.invocation import Invocation


@command(graph="print a Mermaid flowchart of the services instead")
def environments(invocation: Invocation, *, graph: bool = False) -> None:
    """List the environments, this checkout's default, and the services with what they need.

    Examples:
      ./invoke env.list
      ./invoke env.list --graph       a Mermaid flowchart, to paste into Markdown

    """
    if graph:
        invocation.session.print_raw(_flowchart(invocation.config))
        return
    from slipway.config.load import default_environment
    from tasks.paths import ROOT

    default = default_environment(ROOT)
    rows = [
        (name, "default" if name == default else "", environment.location)
        for name, environment in sorted(invocation.config.environments.items())
    ]
    services = [service for _, service in sorted(invocation.config.services.items())]
    if invocation.session.machine_readable:
        found = [{"name": name, "default": bool(default), "place": place} for name, default, place in rows]
        listed = [{"name": s.name, "version": s.version, "port": s.port, "needs": list(s.needs)} for s in services]
        invocation.session.print_json({"environments": found, "services": listed})
        return
    tables.print_table(invocation.session, ("environment", "", "place"), rows)
    invocation.session.print()
    listing = [(s.name, s.version, str(s.port), ", ".join(s.needs) or "-") for s in services]
    tables.print_table(invocation.session, ("service", "version", "port", "needs"), listing)


def _flowchart(config: Config) -> str:
    from tasks.mermaid import Node, flowchart

    nodes = (Node(s.name, s.port, s.needs, store=not s.has_jar) for s in config.services.values())
    return flowchart(nodes, f"The services of {config.project.name}")


@command(name="local or minikube")
def use(invocation: Invocation, name: str = "") -> None:
    """Set this checkout's default environment.

    Example:
      ./invoke env.use minikube

    """
    if not name:
        raise UsageError("which environment?", hint="--name local, or --name minikube")
    invocation.set_default_environment(name)
    invocation.session.print(f"the default {'would be' if invocation.plan else 'is now'} {name}")


@command(service=SERVICES)
def render(invocation: Invocation, service: str = "") -> None:
    """Print the manifests of a cluster environment; they contain no values of secrets.

    Example:
      ./invoke render auth --env minikube

    """
    from ruamel.yaml import YAML

    from slipway.kubernetes.manifests.namespace import namespace as namespace_object
    from slipway.kubernetes.manifests.render import IMAGE, redacted
    from slipway.kubernetes.manifests.render import render as render_service
    from slipway.kubernetes.objects import Object

    config, environment = invocation.config, invocation.environment
    namespace = environment.namespace or config.project.name
    objects: list[Object] = []
    for chosen in invocation.selection(service).chosen:
        hidden = dict.fromkeys(chosen.settings.secrets, "***")
        objects += render_service(config.project.name, namespace, chosen.settings, IMAGE, hidden)
    yaml = YAML()
    text = StringIO()
    yaml.dump_all([namespace_object(config.project.name, namespace), *redacted(objects)], text)
    invocation.session.print_raw(text.getvalue())
