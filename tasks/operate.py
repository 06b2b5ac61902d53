"""Day-two operations: status, history, logs, restart, rollback, scale, forward, down."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tasks import tables
from tasks.flags import SERVICES, split_names, whole_number
from tasks.task import command

if TYPE_CHECKING:
    from slipway.engine.reporter import Reporter
    from tasks.invocation import Invocation

SERVICE = "the service"


@command()
def status(invocation: Invocation) -> None:
    """Show what runs: release, image, digest, age, ports, state.

    Examples:
      ./invoke status
      ./invoke status --output json

    """
    deployments = invocation.workspace.deployments
    services, nodes, warnings = deployments.status.services(), deployments.status.nodes(), deployments.status.warnings()
    if invocation.session.machine_readable:
        documents = [service.document() for service in services]
        name = invocation.environment.name
        invocation.session.print_json(
            {"environment": name, "services": documents, "nodes": list(nodes), "warnings": list(warnings)}
        )
        return
    if not services:
        invocation.session.print("nothing is deployed; run ./invoke deploy")
        return
    rows = [
        (
            service.name,
            str(service.release or "-"),
            f"{service.ready}/{service.wanted}",
            ", ".join(f"{pod.name} {pod.state}" for pod in service.containers),
            service.image,
            service.digest.removeprefix("sha256:")[:12],
            tables.format_age(service.age),
            ", ".join(service.ports),
        )
        for service in services
    ]
    tables.print_table(
        invocation.session, ("service", "release", "ready", "container", "image", "digest", "age", "ports"), rows
    )
    for service in services:
        for text in (service.drift, *(pod.text for pod in service.dev)):
            if text:
                invocation.session.print(f"{service.name}: {text}")
    tables.print_nodes(invocation.session, nodes)
    for warning in warnings:
        invocation.session.print(f"warning  {warning}")
    where = invocation.config.folder.name
    for name in sorted({service.name for service in services} - {*invocation.config.services}):
        invocation.session.print(f"{name} has no folder in {where}/; to remove it: ./invoke down --service {name}")


@command(service=SERVICES)
def history(invocation: Invocation, service: str = "") -> None:
    """List the releases that are kept, newest first.

    Example:
      ./invoke history auth

    """
    store = invocation.workspace.deployments.releases
    names = _deployed(invocation, service) if service else ()
    releases = [release for release in store.history(None) if not service or release.service in names]
    running = {name: store.running(name) for name in {release.service for release in releases}}
    if invocation.session.machine_readable:
        rows = [
            {key: value for key, value in vars(r).items() if key not in {"source", "manifest", "settings"}}
            | {"serving": r == running[r.service]}
            for r in releases
        ]
        invocation.session.print_json({"releases": rows})
        return
    if not releases:
        invocation.session.print("no releases yet; run ./invoke deploy")
        return
    tables.print_table(
        invocation.session,
        ("service", "release", "time", "who", "commit", "image", "checks", "state"),
        [
            (
                r.service,
                str(r.number),
                r.time,
                r.who,
                r.commit or "-",
                r.image.removeprefix("sha256:")[:12],
                f"{sum(r.checks.values())}/{len(r.checks)}",
                "running" if r == running[r.service] else "",
            )
            for r in releases
        ],
    )


@command(service=SERVICE, follow="keep printing new lines, until Ctrl-C", tail="the number of lines to start with")
def logs(invocation: Invocation, service: str = "", *, follow: bool = False, tail: str = "100") -> None:
    """Print the log of a service.

    Example:
      ./invoke logs auth --follow

    """
    from concurrent.futures import wait

    from slipway.engine.threads import Threads

    settings, operations = invocation.one_service(service).settings, invocation.workspace.deployments.operations
    invocation.workspace.secrets.hide(settings)
    lines = operations.logs(settings.name, whole_number(tail, "--tail"), follow=follow)
    reading = Threads(1).submit(_print_lines, invocation, settings.name, lines)
    while not wait([reading], timeout=0.2).done:
        if invocation.session.reader_gone:
            return
    reading.result()


def _print_lines(invocation: Invocation, name: str, lines: Iterator[str]) -> None:
    from slipway.engine.events import Output

    for line in lines:
        invocation.session.print_line(Output(name, "stdout", line))
        if invocation.session.reader_gone:
            return


@command(changes=True, service=SERVICE)
def restart(invocation: Invocation, service: str = "") -> None:
    """Restart a service; its release stays the same.

    Example:
      ./invoke restart auth

    """
    settings = invocation.one_service(service).settings
    invocation.workspace.secrets.hide(settings)
    operations = invocation.workspace.deployments.operations
    invocation.run_action(f"{settings.name}: restart", partial(operations.restart, settings))


@command(changes=True, confirm=True, service=SERVICE, to="the release's number; default: the one before what runs")
def rollback(invocation: Invocation, service: str = "", to: str = "") -> None:
    """Roll back to an earlier release, which is checked like any other; data stays as it is.

    Examples:
      ./invoke rollback auth
      ./invoke rollback auth --to 3

    """
    chosen, work = invocation.one_service(service), invocation.workspace
    release = work.deployments.releases.earlier(chosen.name, whole_number(to, "--to") if to else None)
    work.secrets.hide(release.settings)

    def action(report: Reporter) -> None:
        work.deployments.deployer.rollback(release, work.secrets.of, report)
        services = invocation.config.services
        stores = [name for name in (chosen.name, *chosen.needs) if services[name].storage]
        if stores:
            report.note(f"code and settings were rolled back; the data of {', '.join(stores)} stays as it is")

    invocation.run_action(f"{chosen.name}: roll back to release {release.number}", action)


@command(changes=True, service=SERVICE, replicas="the number of copies, or `file` for that of the service file")
def scale(invocation: Invocation, service: str = "", replicas: str = "") -> None:
    """Set how many copies of a service run, until the number in its file changes; needs a cluster.

    Examples:
      ./invoke scale auth --replicas 3 --env minikube
      ./invoke scale auth --replicas file --env minikube

    """
    from slipway.errors import NextCommand, UsageError

    settings = invocation.one_service(service).settings
    if not replicas:
        raise UsageError("how many copies?", hint="--replicas 3, or --replicas file")
    number = None if replicas == "file" else whole_number(replicas, "--replicas")
    if number == 0:
        commands = [NextCommand("down", {"service": settings.name})]
        raise UsageError(
            "a deployed service has at least one copy", hint="remove it; its data stays", commands=commands
        )
    if number and number > 1 and settings.storage:
        raise UsageError(
            f"{settings.name} has storage: its copies would write to the same files", hint="it runs as one copy"
        )
    invocation.workspace.secrets.hide(settings)
    text = f"{settings.replicas} copies, as in the service file" if number is None else f"{number} copies"
    operations = invocation.workspace.deployments.operations
    operations.can_scale(settings)  # refused here, so that --plan says so too
    invocation.run_action(f"{settings.name}: {text}", partial(operations.scale, settings, number))


@command(service=SERVICE, port="the local port; default: a free one")
def forward(invocation: Invocation, service: str = "", port: str = "") -> None:
    """Forward a local port to the running service, until Ctrl-C.

    Example:
      ./invoke forward auth --port 9000

    """
    from slipway.engine.events import Output

    name = invocation.one_service(service).name
    number = whole_number(port, "--port", 1, 65535) if port else None
    with invocation.workspace.deployments.operations.forward(name, number) as url:
        invocation.session.print_line(Output(name, "note", url), f"{name}  {url}  (press Ctrl-C to stop)")
        while not invocation.cancel.requested:
            invocation.cancel.wait(3600)


@command(
    changes=True,
    confirm=True,
    service=SERVICES,
    purge="also remove data, secrets and history",
)
def down(invocation: Invocation, service: str = "", *, purge: bool = False) -> None:
    """Remove the workloads; data, generated secrets and history stay, unless --purge is given.

    --service also takes a deployed service whose folder is gone, and --purge without it takes all of them.

    Examples:
      ./invoke down
      ./invoke down invoices --purge

    """
    deployments, names = invocation.workspace.deployments, _deployed(invocation, service)
    if purge and not service:
        names = [*names, *sorted(deployments.operations.known_services().difference(names))]

    def action(report: Reporter) -> None:
        deployments.operations.down(names, report)
        if purge:
            deployments.operations.purge(names, everything=not service, report=report)

    def something_to_remove() -> bool:
        return purge or any(service.name in names for service in deployments.status.services())

    invocation.run_action("remove " + ", ".join(names), action, something_to_remove)


def _deployed(invocation: Invocation, names: str) -> list[str]:
    """The services behind `--service a,b` (default: all); one that left something may have no folder any more."""
    from slipway.flows.selection import select

    services = invocation.config.services
    requested = split_names(names)
    without_folder = [name for name in requested if name not in services]
    known = invocation.workspace.deployments.operations.known_services() if without_folder else ()
    orphans = [name for name in without_folder if name in known]
    others = [name for name in requested if name not in orphans]
    chosen = select(invocation.workspace.services, others).names if others or not orphans else ()
    return [*orphans, *chosen]
