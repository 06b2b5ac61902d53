"""Day-two work on what serves: status, logs, history, rollback, restart, scale, forward, down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.verb import verb

if TYPE_CHECKING:
    from slipway.steps import Say
    from tasks.command import Command

ONE = "the service"


@verb()
def status(command: Command) -> None:
    """What serves: release, image, digest, age, ports, state.

    Examples:
      ./invoke status
      ./invoke status --output json

    """
    target = command.here.target
    live, nodes, warnings = target.status(), target.nodes(), target.warnings()
    if command.session.json:
        services = [one.document() for one in live]
        name = command.environment.name
        command.session.document(
            {"environment": name, "services": services, "nodes": list(nodes), "warnings": list(warnings)}
        )
        return
    if not live:
        command.session.say("nothing is deployed here; ./invoke deploy")
        return
    rows = [
        (
            one.name,
            str(one.release or "-"),
            f"{one.ready}/{one.wanted}",
            ", ".join(f"{pod.name} {pod.state}" for pod in one.containers),
            one.image,
            one.digest.removeprefix("sha256:")[:12],
            age(one.age),
            ", ".join(one.ports),
        )
        for one in live
    ]
    command.table(("service", "release", "ready", "container", "image", "digest", "age", "ports"), rows)
    for node in nodes:
        cpu, memory = node["cpu"], node["memory"]
        command.session.say(
            f"node {node['name']}: {cpu['requested']:.2f} of {cpu['allocatable']:.0f} CPUs and "
            f"{memory['requested'] / 2**30:.2f} of {memory['allocatable'] / 2**30:.1f} GiB are asked for"
        )
    for warning in warnings:
        command.session.say(f"warning  {warning}")


def age(seconds: float) -> str:
    """A duration in its largest fitting unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@verb(service="a service; default: all")
def history(command: Command, service: str = "") -> None:
    """The releases that are kept, newest first.

    Example:
      ./invoke history --service auth

    """
    releases = command.here.target.history(service or None)
    serving = {name: command.here.target.serving(name) for name in {release.service for release in releases}}
    if command.session.json:
        rows = [
            {key: value for key, value in vars(r).items() if key not in {"source", "manifest", "settings"}}
            | {"serving": r == serving[r.service]}
            for r in releases
        ]
        command.session.document({"releases": rows})
        return
    if not releases:
        command.session.say("nothing was released here yet; ./invoke deploy")
        return
    command.table(
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
def logs(command: Command, service: str = "", *, follow: bool = False, tail: str = "100") -> None:
    """The log lines of a service.

    Example:
      ./invoke logs --service auth --follow

    """
    name = one(command, service)
    command.here.hide(command.here.service(name))
    lines = command.here.target.logs(name, whole(tail, "--tail"), follow=follow)
    if follow:
        import threading

        ended = threading.Event()

        def show() -> None:
            for line in lines:
                command.session.say(line)
            ended.set()

        threading.Thread(target=show, daemon=True).start()
        while not ended.wait(0.2) and not command.cancel.requested:
            pass
        return
    for line in lines:
        command.session.say(line)


def one(command: Command, service: str) -> str:
    """The one service that a command is about. Raises Problem if none or an unknown one is named."""
    from slipway import flows
    from slipway.errors import ExitCode, Problem

    if not service and len(command.config.services) > 1:
        raise Problem("which service?", fix=f"--service {min(command.config.services)}", code=ExitCode.USAGE)
    return flows.chosen(command.config, service)[0]


def whole(text: str, flag: str) -> int:
    """A flag's whole number. Raises Problem for anything else."""
    from slipway.errors import ExitCode, Problem

    if not text.isdigit():
        raise Problem(f"{flag} takes a whole number, not {text!r}", code=ExitCode.USAGE)
    return int(text)


@verb(changes=True, service=ONE)
def restart(command: Command, service: str = "") -> None:
    """Stop and start a service; it keeps its release.

    Example:
      ./invoke restart --service auth

    """
    service_model = command.here.service(one(command, service))
    command.here.hide(service_model)
    command.deed(f"{service_model.name}: restart", lambda say: command.here.target.restart(service_model, say))


@verb(changes=True, confirm=True, service=ONE, to="the release's number; default: the one before what serves")
def rollback(command: Command, service: str = "", to: str = "") -> None:
    """Serve an earlier release again, checked live like any other; data stays as it is.

    Examples:
      ./invoke rollback --service auth
      ./invoke rollback --service auth --to 3

    """
    from slipway import flows

    name = one(command, service)
    number = whole(to, "--to") if to else None
    release = command.here.target.earlier(name, number)
    secrets = command.here.secrets(release.settings)

    def back(say: Say) -> None:
        command.here.target.rollback(release, secrets, flows.verify, say)
        stores = [one for one in (name, *command.config.needs(name)) if command.config.services[one].storage]
        if stores:
            say.note(f"code and settings went back; the data of {', '.join(stores)} stays as it is")

    command.deed(f"{name}: back to release {release.number}", back)


@verb(changes=True, service=ONE, replicas="how many copies, or `file` for what the service file says")
def scale(command: Command, service: str = "", replicas: str = "") -> None:
    """Change how many copies of a service run, until its file's number changes; it needs a cluster.

    Examples:
      ./invoke scale --service auth --replicas 3 --env minikube
      ./invoke scale --service auth --replicas file --env minikube

    """
    from slipway.errors import ExitCode, Problem

    model = command.here.service(one(command, service))
    if not replicas:
        raise Problem("how many copies?", fix="--replicas 3, or --replicas file", code=ExitCode.USAGE)
    number = None if replicas == "file" else whole(replicas, "--replicas")
    command.here.hide(model)
    text = f"{model.replicas} copies, as the file says" if number is None else f"{number} copies"
    act = command.here.target.scale
    command.deed(f"{model.name}: {text}", lambda say: act(model, number, say))


@verb(service=ONE, port="the loopback port here; default: a fitting one")
def forward(command: Command, service: str = "", port: str = "") -> None:
    """A loopback address of the live service, until Ctrl-C.

    Example:
      ./invoke forward --service auth --port 9000

    """
    name = one(command, service)
    with command.here.target.forward(name, whole(port, "--port") if port else None) as url:
        command.session.say(f"{name}  {url}  (Ctrl-C ends it)")
        while not command.cancel.requested:
            command.cancel.wait(3600)


@verb(
    changes=True,
    confirm=True,
    service="services, separated by commas; default: all",
    purge="remove data, secrets and history too",
)
def down(command: Command, service: str = "", *, purge: bool = False) -> None:
    """Take the workloads away; data, generated secrets and history stay unless --purge.

    Examples:
      ./invoke down
      ./invoke down --purge

    """
    from slipway import flows

    here, names = command.here, flows.chosen(command.config, service)

    def act(say: Say) -> None:
        here.target.down(names, say)
        if purge:
            here.target.purge(names, everything=not service, say=say)

    command.deed("take away " + ", ".join(names), act)
