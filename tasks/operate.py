"""Day-two work on what serves: status, logs, history, rollback, restart, scale, forward, down."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import wait
from typing import TYPE_CHECKING

from slipway.engine.events import Output
from slipway.engine.steps import Threads
from tasks import tables
from tasks.flags import one, whole
from tasks.task import verb

if TYPE_CHECKING:
    from slipway.engine.steps import Reporter
    from tasks.invocation import Invocation

ONE = "the service"


@verb()
def status(command: Invocation) -> None:
    """What serves: release, image, digest, age, ports, state.

    Examples:
      ./invoke status
      ./invoke status --output json

    """
    deployments = command.workspace.deployments
    live, nodes, warnings = deployments.status.services(), deployments.status.nodes(), deployments.status.warnings()
    if command.session.machine_readable:
        services = [one.document() for one in live]
        name = command.environment.name
        command.session.print_json(
            {"environment": name, "services": services, "nodes": list(nodes), "warnings": list(warnings)}
        )
        return
    if not live:
        command.session.print("nothing is deployed here; ./invoke deploy")
        return
    rows = [
        (
            one.name,
            str(one.release or "-"),
            f"{one.ready}/{one.wanted}",
            ", ".join(f"{pod.name} {pod.state}" for pod in one.containers),
            one.image,
            one.digest.removeprefix("sha256:")[:12],
            tables.age(one.age),
            ", ".join(one.ports),
        )
        for one in live
    ]
    tables.table(command.session, ("service", "release", "ready", "container", "image", "digest", "age", "ports"), rows)
    tables.nodes(command.session, nodes)
    for warning in warnings:
        command.session.print(f"warning  {warning}")
    where = command.config.folder.name
    for name in sorted({found.name for found in live} - {*command.config.services}):
        command.session.print(f"{name} has no folder in {where}/; ./invoke down --service {name} takes it away")


@verb(service="services, separated by commas; default: all")
def history(command: Invocation, service: str = "") -> None:
    """The releases that are kept, newest first.

    Example:
      ./invoke history --service auth

    """
    names = _deployed(command, service) if service else ()
    releases = [
        one for one in command.workspace.deployments.releases.history(None) if not service or one.service in names
    ]
    serving = {
        name: command.workspace.deployments.releases.running(name) for name in {release.service for release in releases}
    }
    if command.session.machine_readable:
        rows = [
            {key: value for key, value in vars(r).items() if key not in {"source", "manifest", "settings"}}
            | {"serving": r == serving[r.service]}
            for r in releases
        ]
        command.session.print_json({"releases": rows})
        return
    if not releases:
        command.session.print("nothing was released here yet; ./invoke deploy")
        return
    tables.table(
        command.session,
        ("service", "release", "time", "who", "commit", "image", "checks", "serving"),
        [
            (
                r.service,
                str(r.number),
                r.time,
                r.who,
                r.commit or "-",
                r.image.removeprefix("sha256:")[:12],
                f"{sum(r.checks.values())}/{len(r.checks)}",
                "serves" if r == serving[r.service] else "",
            )
            for r in releases
        ],
    )


@verb(service=ONE, follow="go on as lines come, until Ctrl-C", tail="how many lines to begin with")
def logs(command: Invocation, service: str = "", *, follow: bool = False, tail: str = "100") -> None:
    """The log lines of a service.

    Example:
      ./invoke logs --service auth --follow

    """
    name, settings = (found := one(command, service)).name, found.settings
    command.workspace.secrets.hide(settings)
    lines = command.workspace.deployments.operations.logs(name, whole(tail, "--tail"), follow=follow)
    reading = Threads(1).submit(_told, command, name, lines)
    while not wait([reading], timeout=0.2).done:
        if command.session.reader_gone:
            return
    reading.result()


def _told(command: Invocation, name: str, lines: Iterator[str]) -> None:
    for line in lines:
        command.session.print_line(Output(name, "stdout", line))
        if command.session.reader_gone:
            return


@verb(changes=True, service=ONE)
def restart(command: Invocation, service: str = "") -> None:
    """Stop and start a service; it keeps its release.

    Example:
      ./invoke restart --service auth

    """
    service_model = one(command, service).settings
    command.workspace.secrets.hide(service_model)
    command.deed(
        f"{service_model.name}: restart",
        lambda report: command.workspace.deployments.operations.restart(service_model, report),
    )


@verb(changes=True, confirm=True, service=ONE, to="the release's number; default: the one before what serves")
def rollback(command: Invocation, service: str = "", to: str = "") -> None:
    """Serve an earlier release again, checked live like any other; data stays as it is.

    Examples:
      ./invoke rollback --service auth
      ./invoke rollback --service auth --to 3

    """
    chosen = one(command, service)
    name = chosen.name
    number = whole(to, "--to") if to else None
    release = command.workspace.deployments.releases.earlier(name, number)
    command.workspace.secrets.hide(release.settings)

    def back(report: Reporter) -> None:
        command.workspace.deployments.deployer.rollback(release, command.workspace.secrets.of, report)
        stores = [one for one in (name, *chosen.needs) if command.config.services[one].storage]
        if stores:
            report.note(f"code and settings went back; the data of {', '.join(stores)} stays as it is")

    command.deed(f"{name}: back to release {release.number}", back)


@verb(changes=True, service=ONE, replicas="how many copies, or `file` for what the service file says")
def scale(command: Invocation, service: str = "", replicas: str = "") -> None:
    """Change how many copies of a service run, until its file's number changes; it needs a cluster.

    Examples:
      ./invoke scale --service auth --replicas 3 --env minikube
      ./invoke scale --service auth --replicas file --env minikube

    """
    from slipway.errors import UsageError

    model = one(command, service).settings
    if not replicas:
        raise UsageError("how many copies?", hint="--replicas 3, or --replicas file")
    number = None if replicas == "file" else whole(replicas, "--replicas")
    if number == 0:
        hint = f"./invoke down --service {model.name} takes it away; its data stays"
        raise UsageError("a service that is deployed has at least one copy", hint=hint)
    command.workspace.secrets.hide(model)
    text = f"{model.replicas} copies, as the file says" if number is None else f"{number} copies"
    operations = command.workspace.deployments.operations
    operations.can_scale(model)  # says why not, to --plan too
    command.deed(f"{model.name}: {text}", lambda report: operations.scale(model, number, report))


@verb(service=ONE, port="the loopback port here; default: a fitting one")
def forward(command: Invocation, service: str = "", port: str = "") -> None:
    """A loopback address of the live service, until Ctrl-C.

    Example:
      ./invoke forward --service auth --port 9000

    """
    name = one(command, service).name
    number = whole(port, "--port", 1, 65535) if port else None
    with command.workspace.deployments.operations.forward(name, number) as url:
        command.session.print_line(Output(name, "note", url), f"{name}  {url}  (Ctrl-C ends it)")
        while not command.cancel.requested:
            command.cancel.wait(3600)


@verb(
    changes=True,
    confirm=True,
    service="services, separated by commas; default: all",
    purge="remove data, secrets and history too",
)
def down(command: Invocation, service: str = "", *, purge: bool = False) -> None:
    """Take the workloads away; data, generated secrets and history stay unless --purge.

    A service that --service names may have no folder any more.

    Examples:
      ./invoke down
      ./invoke down --service invoices --purge

    """
    deployments, names = command.workspace.deployments, _deployed(command, service)

    def act(report: Reporter) -> None:
        deployments.operations.down(names, report)
        if purge:
            deployments.operations.purge(names, everything=not service, report=report)

    there = lambda: purge or {live.name for live in deployments.status.services()}.intersection(names)  # noqa: E731
    command.deed("take away " + ", ".join(names), act, wanted=there)


def _deployed(command: Invocation, names: str) -> list[str]:
    """The services behind `--service a,b` (default all); one that is deployed may have no folder any more."""
    from slipway.flows.selection import select

    deployments, services = command.workspace.deployments, command.config.services
    asked = [name.strip() for name in names.split(",") if name.strip()]
    strange = [name for name in asked if name not in services]
    known_here = (
        {one.name for one in deployments.status.services()}
        | {one.service for one in deployments.releases.history(None)}
        if strange
        else set()
    )
    gone = [name for name in strange if name in known_here]
    known = [name for name in asked if name not in gone]
    chosen = select(command.workspace.services, ",".join(known)).names if known or not gone else ()
    return [*gone, *chosen]
