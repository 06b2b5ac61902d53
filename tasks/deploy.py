"""From a bare machine to a running service: up, setup, build, image, smoke, deploy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.flags import SERVICES
from tasks.task import command

if TYPE_CHECKING:
    from slipway.flows.selection import Selection
    from tasks.invocation import Invocation


@command(changes=True, confirm=True, builds=True, bundle=True)
def up(invocation: Invocation) -> None:
    """Set up this machine and deploy every service on it: `setup`, then `deploy`.

    Examples:
      ./invoke up                    install what is missing, build, test and run every service
      ./invoke up --env minikube     the same on a Minikube here, which becomes the default
      ./invoke up --plan             only show what would change

    """
    from slipway.config.models import BUILT_IN
    from slipway.errors import NextCommand, UsageError
    from slipway.flows.deploy import deploy as flows_deploy
    from slipway.flows.setup import setup as flows_setup

    if (name := invocation.environment.name) not in BUILT_IN:
        summary = f"up is only for this machine: {' or '.join(BUILT_IN)}, not {name}"
        raise UsageError(summary, commands=[NextCommand(task, {"env": name}) for task in ("setup", "deploy")])
    work = invocation.workspace
    selection = invocation.selection("")
    machine = list(flows_setup(work))
    ready = tuple(node.id for node in machine)
    services = [node for node in flows_deploy(work, selection, after=ready) if node.id not in ready]
    _set_default_environment(invocation)
    _print_environment(invocation)
    invocation.run([*machine, *services], partial(_addresses, invocation, selection))


def _set_default_environment(invocation: Invocation) -> None:
    """A `local` or `minikube` that --env names becomes this checkout's default."""
    from slipway.config.models import BUILT_IN

    if invocation.flags["env"] in BUILT_IN:
        invocation.set_default_environment(invocation.flags["env"])


def _print_environment(invocation: Invocation) -> None:
    invocation.session.print(f"environment {invocation.environment.name}")


@command(changes=True, bundle=True, host="prepare these SSH hosts, separated by commas, without a cluster")
def setup(invocation: Invocation, host: str = "") -> None:
    """Prepare this machine or an environment's SSH host: Docker, JDK, Leiningen; where needed, a running Minikube.

    Examples:
      ./invoke setup --plan             what is missing here, and why; exit 3 if anything is missing
      ./invoke setup                    install it
      ./invoke setup --env minikube     also kubectl, Minikube and a running cluster
      ./invoke setup --env staging      the same on that environment's SSH host
      ./invoke setup --host box1,box2   Docker, kubectl and Minikube on these hosts, in parallel

    """
    if host:
        names = invocation.host_names(host)
        invocation.prefetch_facts(names)
        invocation.run_on_hosts([step for name in names for step in invocation.host_steps(name)])
        return
    from slipway.flows.setup import setup as flows_setup

    _set_default_environment(invocation)
    invocation.run(list(flows_setup(invocation.workspace)))


@command(changes=True, builds=True, service=SERVICES)
def build(invocation: Invocation, service: str = "") -> None:
    """Build the jars, with Leiningen, of services whose sources changed.

    Example:
      ./invoke build auth

    """
    from slipway.flows.build import build as flows_build

    work = invocation.workspace
    invocation.run(list(flows_build(work, invocation.selection(service).chosen)))


@command(changes=True, builds=True, service=SERVICES)
def image(invocation: Invocation, service: str = "") -> None:
    """Build the Docker images of services whose sources changed.

    Example:
      ./invoke image auth

    """
    from slipway.flows.build import build as flows_build
    from slipway.flows.build import image as flows_image

    work = invocation.workspace
    chosen = invocation.selection(service).chosen
    invocation.run([*flows_build(work, chosen, skip=work.artifacts.image), *flows_image(work, chosen)])


@command(
    changes=True,
    builds=True,
    service=SERVICES,
    keep="leave the container running, and print how to reach and remove it",
)
def smoke(invocation: Invocation, service: str = "", *, keep: bool = False) -> None:
    """Run each image in a container, next to those it needs, and check it; running services are not touched.

    Examples:
      ./invoke smoke auth
      ./invoke smoke auth --keep

    """
    from slipway.flows.build import build as flows_build
    from slipway.flows.build import image as flows_image
    from slipway.flows.smoke import generate_secrets
    from slipway.flows.smoke import smoke as flows_smoke

    work = invocation.workspace
    selection = invocation.selection(service)
    jars = flows_build(work, selection.tested, skip=work.artifacts.image)
    images = flows_image(work, selection.tested)
    invocation.run([generate_secrets(work, selection.tested), *jars, *images, *flows_smoke(work, selection, keep=keep)])


@command(
    changes=True,
    confirm=True,
    builds=True,
    service=SERVICES,
    watch="deploy again after each save, until Ctrl-C",
)
def deploy(invocation: Invocation, service: str = "", *, watch: bool = False) -> None:
    """Build, test and roll out what changed, check it, and roll back if that fails.

    Examples:
      ./invoke deploy --plan           what differs from the running releases, and why; exit 3 if anything does
      ./invoke deploy                  every service
      ./invoke deploy auth order       only these
      ./invoke deploy auth --watch     and again after each save; one meanwhile ends the deploy and begins the next

    """
    if watch:
        from tasks.watch import run_after_each_save

        run_after_each_save(invocation, _deploy, service)
    else:
        _deploy(invocation, service)


def _deploy(invocation: Invocation, service: str) -> None:
    invocation.prefetch_state()
    from slipway.flows.deploy import deploy as flows_deploy

    work = invocation.workspace
    selection = invocation.selection(service)
    _print_environment(invocation)
    invocation.run(list(flows_deploy(work, selection)), partial(_addresses, invocation, selection))


def _addresses(invocation: Invocation, selection: Selection) -> list[str]:
    """One line per service: its address, or how to reach it."""
    from slipway.errors import NextCommand

    work, lines = invocation.workspace, []
    for service in selection.chosen:
        release = work.deployments.releases.running(service.name)
        number = f"release {release.number}" if release else "no release"
        found = work.environment.address(service)
        address = invocation.hints.typed(found) if isinstance(found, NextCommand) else found
        lines.append(f"{service.name}  {address}  {number}")
    return lines
