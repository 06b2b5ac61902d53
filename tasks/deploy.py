"""From a bare machine to an answering service: up, setup, build, image, smoke, deploy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.task import verb

if TYPE_CHECKING:
    from tasks.invocation import Invocation

SERVICE = "services, separated by commas; default: all"


@verb(changes=True, confirm=True, bundle=True)
def up(command: Invocation) -> None:
    """Everything on this machine: `setup`, then `deploy`.

    Examples:
      ./invoke up                    install what is missing, build, test and run every service
      ./invoke up --env minikube     the same on a Minikube here, which is the default from then on
      ./invoke up --plan             only say what would be done

    """
    from slipway.errors import UsageError
    from slipway.flows import deploy as flows

    if (name := command.environment.name) not in {"local", "minikube"}:
        hint = f"./invoke setup --env {name}, then ./invoke deploy --env {name}"
        raise UsageError(f"up is for this machine: local or minikube, not {name}", hint=hint)
    machine = list(flows.setup(command.here))
    ready = tuple(step.id for step in machine)
    names = flows.chosen(command.config, "")
    services = [step for step in flows.deploy(command.here, names, after=ready) if step.id not in ready]
    chosen(command)
    said(command)
    command.run([*machine, *services], lambda: _urls(command, names))


def chosen(command: Invocation) -> None:
    """A named `local` or `minikube` becomes this checkout's default."""
    if not command.plan and command.flags["env"] in {"local", "minikube"}:
        command.use(command.flags["env"])


def said(command: Invocation) -> None:
    """Which environment a deploy is about."""
    command.session.say(f"environment {command.environment.name}")


@verb(changes=True, bundle=True, host="SSH hosts, separated by commas: prepare these, without a cluster")
def setup(command: Invocation, host: str = "") -> None:
    """Prepare this machine, or an environment's SSH host: Docker, what builds need; for a Minikube that too, running.

    Examples:
      ./invoke setup --plan             what is missing here, and why; exit 3 if anything is
      ./invoke setup                    install it
      ./invoke setup --env minikube     also kubectl, Minikube and a running cluster
      ./invoke setup --env staging      the same on that environment's SSH host
      ./invoke setup --host box1,box2   Docker, kubectl and Minikube on these hosts, at once

    """
    if host:
        command.reach(host)
        from slipway.flows import hosts as machines

        command.run_on_hosts(list(machines.hosts(command.config, [command.site(name) for name in command.named(host)])))
        return
    from slipway.flows import deploy as flows

    chosen(command)
    command.run(list(flows.setup(command.here)))


@verb(changes=True, service=SERVICE)
def build(command: Invocation, service: str = "") -> None:
    """Build the jars, with Leiningen, of services whose sources changed.

    Example:
      ./invoke build --service auth

    """
    from slipway.flows import deploy as flows

    command.run(list(flows.build(command.here, flows.chosen(command.config, service))))


@verb(changes=True, service=SERVICE)
def image(command: Invocation, service: str = "") -> None:
    """Build the Docker images of services whose sources changed.

    Example:
      ./invoke image --service auth

    """
    from slipway.flows import deploy as flows

    here, names = command.here, flows.chosen(command.config, service)
    command.run([*flows.build(here, names, unless=here.built), *flows.image(here, names)])


@verb(changes=True, service=SERVICE, keep="leave the container running, and say how to reach and remove it")
def smoke(command: Invocation, service: str = "", *, keep: bool = False) -> None:
    """Run each image in a container, beside those it needs, and check it; what serves is not touched.

    Examples:
      ./invoke smoke --service auth
      ./invoke smoke --service auth --keep

    """
    from slipway.flows import deploy as flows

    here, names = command.here, flows.chosen(command.config, service)
    tried = flows.with_needs(command.config, names)
    steps = [flows.secrets(here, tried), *flows.build(here, tried, unless=here.built), *flows.image(here, tried)]
    command.run([*steps, *flows.smoke(here, names, always=True, keep=keep)])


@verb(changes=True, confirm=True, service=SERVICE)
def deploy(command: Invocation, service: str = "") -> None:
    """Build, test and roll out what changed; check it live; put the old one back if that fails.

    Examples:
      ./invoke deploy --plan           what differs from what serves, and why; exit 3 if anything does
      ./invoke deploy                  every service
      ./invoke deploy --service auth

    """
    from slipway.flows import deploy as flows

    names = flows.chosen(command.config, service)
    said(command)
    command.run(list(flows.deploy(command.here, names)), lambda: _urls(command, names))


def _urls(command: Invocation, names: Sequence[str]) -> list[str]:
    """One line per service: where it answers, or how to reach it."""
    lines = []
    for name in names:
        release = command.here.target.serving(name)
        number = f"release {release.number}" if release else "no release"
        where = f"http://127.0.0.1:{command.here.service(name).published}"
        if not command.environment.local:
            where = f"./invoke forward --service {name} --env {command.environment.name}"
        lines.append(f"{name}  {where}  {number}")
    return lines
