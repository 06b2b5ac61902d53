"""Where services run, and with what: cluster.*, env.*, bundle.*, render."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tasks.verb import verb

if TYPE_CHECKING:
    from pathlib import Path

    from slipway.steps import Say
    from tasks.command import Command


@verb(changes=True)
def start(command: Command) -> None:
    """Start the Minikube behind an environment, or make it.

    Example:
      ./invoke cluster.start --env minikube

    """
    from slipway import flows

    _minikube(command)
    command.run([flows.cluster(command.here)])


@verb(changes=True)
def stop(command: Command) -> None:
    """Stop the Minikube behind an environment; what is on it stays.

    Example:
      ./invoke cluster.stop --env minikube

    """
    from slipway.tools import minikube

    _minikube(command)
    command.deed("stop the cluster", lambda say: minikube.stop(command.here.place, say))


@verb(changes=True, confirm=True)
def delete(command: Command) -> None:
    """Remove the Minikube behind an environment and everything on it: workloads, data, secrets and history.

    Example:
      ./invoke cluster.delete --env minikube

    """
    from slipway.tools import minikube

    _minikube(command)
    command.deed("remove the cluster", lambda say: minikube.delete(command.here.place, say))


@verb()
def status(command: Command) -> None:
    """Whether the cluster answers, and what is asked of its nodes.

    Example:
      ./invoke cluster.status --env minikube

    """
    from slipway.errors import ExitCode, Problem

    target = command.here.cluster_target if not command.environment.local else _minikube(command)
    down = target.probe.facts().down
    if down:
        name = command.environment.name
        raise Problem(down, fix=f"./invoke cluster.start --env {name}", code=ExitCode.UNREACHABLE)
    nodes = target.nodes()
    if command.session.json:
        command.session.document({"environment": command.environment.name, "nodes": nodes})
        return
    for node in nodes:
        cpu, memory = node["cpu"], node["memory"]
        command.session.say(
            f"{node['name']}  {cpu['requested']:.2f} of {cpu['allocatable']:.0f} CPUs, "
            f"{memory['requested'] / 2**30:.2f} of {memory['allocatable'] / 2**30:.1f} GiB asked for"
        )


def _minikube(command: Command) -> Any:
    from slipway.errors import ExitCode, Problem

    if command.environment.local or not command.environment.minikube:
        what = f"there is no Minikube behind environment {command.environment.name}"
        raise Problem(what, fix="--env minikube", code=ExitCode.USAGE)
    return command.here.cluster_target


@verb(graph="a picture of the services instead, as SVG on standard output")
def environments(command: Command, *, graph: bool = False) -> None:
    """The environments, which of them this checkout uses by default, and the services with what they need.

    Examples:
      ./invoke env.list
      ./invoke env.list --graph > services.svg

    """
    if graph:
        from slipway.ui.graph import Box, svg

        boxes = (Box(s.name, s.port, s.needs, store=not s.leiningen) for s in command.config.services.values())
        print(svg(boxes, f"The services of {command.config.project.name}"), end="")  # noqa: T201  the answer itself
        return
    from slipway.config.load import default_environment
    from tasks.command import ROOT

    default = default_environment(ROOT)
    rows = [
        (name, "default" if name == default else "", place(one))
        for name, one in sorted(command.config.environments.items())
    ]
    services = sorted(command.config.services.values(), key=lambda one: one.name)
    if command.session.json:
        shown = [{"name": name, "default": bool(mark), "place": where} for name, mark, where in rows]
        listed = [{"name": s.name, "version": s.version, "port": s.port, "needs": list(s.needs)} for s in services]
        command.session.document({"environments": shown, "services": listed})
        return

    command.table(("environment", "", "place"), rows)
    command.session.say()
    listing = [(s.name, s.version, str(s.port), ", ".join(s.needs) or "-") for s in services]
    command.table(("service", "version", "port", "needs"), listing)


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
def use(command: Command, name: str = "") -> None:
    """Choose this checkout's default environment.

    Example:
      ./invoke env.use --name minikube

    """
    command.use(name)
    command.session.say(f"the default is {name} now")


@verb(service="services, separated by commas; default: all")
def render(command: Command, service: str = "") -> None:
    """The manifests of a cluster environment, to standard output; no secret's value is in them.

    Example:
      ./invoke render --env minikube --service auth

    """
    from ruamel.yaml import YAML

    from slipway import flows
    from slipway.targets.kubernetes import manifests

    config, environment = command.config, command.environment
    namespace = environment.namespace or config.project.name
    found = []
    for name in flows.chosen(config, service):
        model = config.service_for(environment, name)
        hidden = dict.fromkeys(model.secrets, "***")
        found += manifests.render(config.project.name, namespace, model, manifests.IMAGE, hidden)
    yaml = YAML()
    shown = manifests.hidden(found)
    yaml.dump_all([manifests.namespace(config.project.name, namespace), *shown], sys.stdout)


def _folder(command: Command, text: str) -> Path:
    from slipway.errors import ExitCode, Problem

    folder = command.folder(text)
    if folder is None:
        raise Problem("which folder?", fix="--dir D", code=ExitCode.USAGE)
    return folder


@verb(dir="the folder to fill", platform="of the hosts that will use it")
def create(command: Command, dir: str = "", platform: str = "linux/amd64") -> None:  # noqa: A002  the flag's name
    """Download what config/ pins into a folder, each file checked; a broken download goes on where it broke.

    Docker's packages are those of this machine's own release, fetched by its apt; a base image that has a recipe alone,
    as PostgreSQL's, is made here.

    Example:
      ./invoke bundle.create --dir ~/slipway-bundle

    """
    from slipway import flows
    from slipway.tools.collect import Collection

    here = command.here
    folder = _folder(command, dir)
    done: list[bool] = []

    def act(say: Say) -> None:
        base = lambda name, say: flows.base(here, name, say)  # noqa: E731
        Collection(command.config, here.host, here.daemon, platform, folder, base).make(say)
        done.append(True)

    command.alone("bundle", f"bundle in {folder}", act, done)


@verb(dir="the bundle's folder")
def verify(command: Command, dir: str = "") -> None:  # noqa: A002  the flag's name
    """Name every file of a bundle that is missing or not what was pinned.

    Example:
      ./invoke bundle.verify --dir ~/slipway-bundle

    """
    from slipway.errors import Problem
    from slipway.tools.bundle import Bundle

    bundle = Bundle(_folder(command, dir))
    faults = bundle.faults(command.say())
    if faults:
        raise Problem(f"{len(faults)} of {len(bundle.files)} files are bad", why="\n".join(faults), fix="make it again")
    command.session.say(f"all {len(bundle.files)} files are what was pinned")
