"""When a container is ready: a path answers, a command succeeds, or something listens on its port."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

from slipway.config.models import Health, Service
from slipway.docker.exit_causes import Cause, exit_cause, nothing_listens, wrong_path
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter

TIMEOUT = 60.0  # seconds that a container gets to become ready, unless its service has `start_within`
COMMAND_TIMEOUT = 10  # seconds for a readiness command
ANSWERS_WITHIN = 2  # seconds for a readiness path
NO_LISTENER, SILENT = "no listener", "silent"

ReadinessCheck = str | tuple[str, ...] | None  # a path, a command, or the port alone (`Health.readiness`)


def wait_until_ready(daemon: Daemon, container: str, service: Service, url: str, report: Reporter) -> None:
    """Wait until the container passes the service's readiness check. Raises Problem when it exits, or at the timeout.

    `url` is where this machine reaches the container.
    """
    began = time.monotonic()
    check = (service.health or Health()).readiness
    fault = NO_LISTENER
    timeout = service.start_seconds or TIMEOUT
    while (waited := time.monotonic() - began) < timeout:
        report.cancel.wait(0.03 if waited < 5 else 0.25)
        if waited > 1:
            report.progress(waited, timeout, "seconds")
        if fault == NO_LISTENER or int(waited * 10) % 5 == 0:
            _ensure_running(daemon, container, service)
        found = _readiness_fault(daemon, container, check, url, report)
        if found is None:
            return
        fault = found
    cause = _cause(check, fault, container, service.port)
    raise cause.problem(f"{service.name}: not ready within {timeout:.0f} s")


def unready(daemon: Daemon, container: str, service: Service, url: str, report: Reporter) -> str:
    """Why a running container is not ready now, in words; empty where it is."""
    check = (service.health or Health()).readiness
    fault = _readiness_fault(daemon, container, check, url, report)
    return _cause(check, fault, container, service.port).summary if fault else ""


def _ensure_running(daemon: Daemon, container: str, service: Service) -> None:
    """Raise Problem if the container exited or was restarted, with the cause."""
    found = daemon.containers.inspect(container)
    if not found.running or found.restarts:
        log = "\n".join(daemon.io.logs(container, 60, follow=False))
        cause = exit_cause(found.exit_code, service.resources.memory_limit, log, oom=found.oom)
        raise cause.problem(service.name)


def _readiness_fault(daemon: Daemon, container: str, check: ReadinessCheck, url: str, report: Reporter) -> str | None:
    """Why the check fails now: `NO_LISTENER`, `SILENT`, a status, or what a command printed. None: it passes."""
    if check is None:
        return None if _listens(url) else NO_LISTENER
    if isinstance(check, tuple):
        exit_code, output = daemon.io.execute(container, check, report, COMMAND_TIMEOUT)
        return (output.strip() or f"exit code {exit_code}") if exit_code else None
    import requests

    try:
        response = requests.get(url + check, timeout=ANSWERS_WITHIN, proxies={"http": "", "https": ""})
    except requests.ReadTimeout:
        return SILENT
    except requests.RequestException as error:
        return type(error).__name__
    return None if response.ok else str(response.status_code)


def _cause(check: ReadinessCheck, fault: str, container: str, port: int) -> Cause:
    """Why it is not ready, given what `_readiness_fault` found."""
    if isinstance(check, str) and fault.isdigit():
        return wrong_path(check, fault)
    if isinstance(check, str) and fault == SILENT:
        return Cause(f"{check} takes more than {ANSWERS_WITHIN} s to answer", f"docker logs {container[:12]}")
    if isinstance(check, tuple):
        return Cause(f"`{' '.join(check)}` failed: {fault}", f"docker logs {container[:12]}")
    return nothing_listens(port)


def _listens(url: str) -> bool:
    """Whether something listens behind a published port: docker-proxy accepts and closes connections for nobody."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port or 80), timeout=2) as stream:
            stream.settimeout(0.2)
            return stream.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False
