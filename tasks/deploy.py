"""From a bare machine to an answering service: up, setup, build, image, smoke, deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.task import verb

if TYPE_CHECKING:
    from slipway.flows.selection import Selection
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
    from slipway.flows.deploy import deploy as flows_deploy
    from slipway.flows.selection import select
    from slipway.flows.setup import setup as flows_setup

    if (name := command.environment.name) not in {"local", "minikube"}:
        hint = f"./invoke setup --env {name}, then ./invoke deploy --env {name}"
        raise UsageError(f"up is for this machine: local or minikube, not {name}", hint=hint)
    work = command.workspace
    selection = select(work.services)
    machine = list(flows_setup(work))
    ready = tuple(node.id for node in machine)
    services = [node for node in flows_deploy(work, selection, after=ready) if node.id not in ready]
    chosen(command)
    said(command)
    command.run([*machine, *services], lambda: _urls(command, selection))


def chosen(command: Invocation) -> None:
    """A named `local` or `minikube` becomes this checkout's default."""
    if not command.plan and command.flags["env"] in {"local", "minikube"}:
        command.use(command.flags["env"])


def said(command: Invocation) -> None:
    """Which environment a deploy is about."""
    command.session.print(f"environment {command.environment.name}")


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
        from slipway.flows.setup import ssh_hosts

        targets = [command.host_target(name) for name in command.named(host)]
        command.run_on_hosts(list(ssh_hosts(command.config, targets)))
        return
    from slipway.flows.setup import setup as flows_setup

    chosen(command)
    command.run(list(flows_setup(command.workspace)))


@verb(changes=True, service=SERVICE)
def build(command: Invocation, service: str = "") -> None:
    """Build the jars, with Leiningen, of services whose sources changed.

    Example:
      ./invoke build --service auth

    """
    from slipway.flows.build import build as flows_build
    from slipway.flows.selection import select

    work = command.workspace
    command.run(list(flows_build(work, select(work.services, service).chosen)))


@verb(changes=True, service=SERVICE)
def image(command: Invocation, service: str = "") -> None:
    """Build the Docker images of services whose sources changed.

    Example:
      ./invoke image --service auth

    """
    from slipway.flows.build import build as flows_build
    from slipway.flows.build import image as flows_image
    from slipway.flows.selection import select

    work = command.workspace
    chosen = select(work.services, service).chosen
    command.run([*flows_build(work, chosen, skip=work.artifacts.image), *flows_image(work, chosen)])


@verb(changes=True, service=SERVICE, keep="leave the container running, and say how to reach and remove it")
def smoke(command: Invocation, service: str = "", *, keep: bool = False) -> None:
    """Run each image in a container, beside those it needs, and check it; what serves is not touched.

    Examples:
      ./invoke smoke --service auth
      ./invoke smoke --service auth --keep

    """
    from slipway.flows.build import build as flows_build
    from slipway.flows.build import image as flows_image
    from slipway.flows.selection import select
    from slipway.flows.smoke import generate_secrets
    from slipway.flows.smoke import smoke as flows_smoke

    work = command.workspace
    selection = select(work.services, service)
    jars = flows_build(work, selection.tested, skip=work.artifacts.image)
    images = flows_image(work, selection.tested)
    command.run([generate_secrets(work, selection.tested), *jars, *images, *flows_smoke(work, selection, keep=keep)])


@verb(changes=True, confirm=True, service=SERVICE)
def deploy(command: Invocation, service: str = "") -> None:
    """Build, test and roll out what changed; check it live; put the old one back if that fails.

    Examples:
      ./invoke deploy --plan           what differs from what serves, and why; exit 3 if anything does
      ./invoke deploy                  every service
      ./invoke deploy --service auth

    """
    from slipway.flows.deploy import deploy as flows_deploy
    from slipway.flows.selection import select

    work = command.workspace
    selection = select(work.services, service)
    said(command)
    command.run(list(flows_deploy(work, selection)), lambda: _urls(command, selection))


def _urls(command: Invocation, selection: Selection) -> list[str]:
    """One line per service: where it answers, or how to reach it."""
    work, lines = command.workspace, []
    for service in selection.chosen:
        release = work.deployments.releases.running(service.name)
        number = f"release {release.number}" if release else "no release"
        lines.append(f"{service.name}  {work.environment.address(service)}  {number}")
    return lines
