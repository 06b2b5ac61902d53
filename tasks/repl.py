"""`dev`: a service under development, whose saved sources are evaluated where it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasks.paths import shown_path
from tasks.task import command

if TYPE_CHECKING:
    from slipway.flows.dev import DevSession
    from tasks.invocation import Invocation

WIDTH = 10  # of the labels of addresses


@command(
    changes=True,
    confirm=True,
    service="the service",
    intercept="on a cluster: it takes all of the traffic of the running release, until Ctrl-C",
)
def dev(invocation: Invocation, service: str = "", *, intercept: bool = False) -> None:
    """Run a service beside those that it needs, and evaluate in it what is saved, until Ctrl-C.

    It runs in its own image: on this machine's Docker with fresh containers of what it needs, on a cluster in a pod
    beside the running releases, which it uses. They are not touched, and it takes no traffic unless that is asked for.
    After each save its checks are run.

    Examples:
      ./invoke dev order
      ./invoke dev order --env minikube
      ./invoke dev order --env minikube --intercept

    """
    from slipway.errors import NextCommand, UsageError
    from slipway.flows.dev import DevSession
    from slipway.flows.dev import dev as flows_dev
    from slipway.images.saves import SavedFiles, SaveWatcher

    if intercept and invocation.environment.on_docker:
        hint = "leave --intercept out, or name an environment of a cluster with --env"
        commands = [NextCommand("dev", {"service": service})]
        summary = f"--intercept is of clusters: in {invocation.environment.name} nothing stands in front of a service"
        raise UsageError(summary, hint=hint, commands=commands)
    name = invocation.one_service(service).name
    work, selection = invocation.workspace, invocation.selection(name)
    with SaveWatcher() as watcher:
        session = DevSession(work, selection, work.services[name], SavedFiles(watcher), intercept)
        invocation.run(list(flows_dev(work, selection, session)))
        with invocation.signals.running():
            _print_addresses(invocation, session)
            _check(invocation, session)
            while True:
                session.saves.wait(invocation.cancel)
                if _reload(invocation, session):
                    _check(invocation, session, "  ")


def _print_addresses(invocation: Invocation, session: DevSession) -> None:
    """Where the service and its REPLs answer, and how to see its log."""
    from slipway.engine.events import Output

    run, ports, name = session.run, session.ports, session.service.name
    lines = {name: run.address, "REPL": f"nc 127.0.0.1 {run.published(ports.repl)}"}
    if session.nrepl:
        lines["nREPL"] = f"127.0.0.1:{run.published(ports.nrepl)}"
    lines["log"] = run.log_command
    for label, text in lines.items():
        invocation.session.print_line(Output(f"{name}/dev", "note", f"{label}: {text}"), f"{label:<{WIDTH}}{text}")
    invocation.session.print("saved files are evaluated (press Ctrl-C to stop)")


def _reload(invocation: Invocation, session: DevSession) -> bool:
    """Evaluate what was saved and show what came of it; whether there is something to check."""
    from slipway.engine.events import Output, Status, StepChanged

    reloaded, name = session.reload(), session.service.name
    evaluated, fault = reloaded.evaluated, reloaded.evaluated.fault
    notes = [f"{shown_path(path)} is gone: its namespace stays until dev starts again" for path in reloaded.deleted]
    notes += [f"{shown_path(path)} takes effect when dev starts again" for path in reloaded.at_next_start]
    for text in (*evaluated.printed.splitlines(), *notes):
        invocation.session.print_line(Output(f"{name}/evaluate", "note", text), f"{_clock()}  {text}")
    if not (evaluated.namespaces or fault):
        return False
    said = ", ".join(evaluated.namespaces)
    if fault:
        file = session.file(fault.file)
        place = [shown_path(file) if file else fault.file, *(str(at) for at in (fault.line, fault.column) if at)]
        said = f"{':'.join(place)}: {fault.message}"
    status = Status.FAILED if fault else Status.CHANGED
    event = StepChanged(f"{name}/evaluate", f"{name}: evaluate", status, said, reloaded.seconds)
    took = "the code before it runs on" if fault else f"evaluated {reloaded.seconds:.2f} s after the save"
    invocation.session.print_event(event, f"{_clock()}  {said}  ({took})", "\n" if fault else "")
    session.record(evaluated)
    return not fault


def _check(invocation: Invocation, session: DevSession, behind: str = "") -> None:
    """Run the checks and show their result `behind` what the line has already; the next save ends them."""
    from slipway.engine.cancellation import Cancel
    from slipway.engine.events import Status, StepChanged
    from slipway.engine.reporter import null_reporter
    from slipway.errors import Cancelled

    cancel, began, name = Cancel(), time.monotonic(), session.service.name
    unregister = invocation.cancel.on_request(cancel.request)
    try:
        with session.saves.cancelling(cancel):
            report = session.run.check(null_reporter(cancel))
        status, said, detail = Status.CHANGED if report.ok else Status.FAILED, report.summary, report.text
    except Cancelled:
        invocation.cancel.check()
        status, said, detail = Status.SKIPPED, "the next save came before its checks had ended", ""
    finally:
        unregister()
    seconds = time.monotonic() - began
    event = StepChanged(f"{name}/checks", f"{name}: checks", status, said, seconds, detail)
    text = said if status is Status.SKIPPED else f"{said} in {seconds:.1f} s"
    invocation.session.print_event(event, "\n".join(filter(None, (f"{behind}{text}", detail))))


def _clock() -> str:
    return time.strftime("%H:%M:%S")
