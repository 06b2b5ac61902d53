"""The container of a service on this machine's Docker: what is wanted, how it differs, when it is ready."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from slipway.config.models import Health, Service
from slipway.config.quantity import parse_bytes
from slipway.deployers.deployer import DesiredRelease
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.exit_causes import Cause, ended, silent_port, wrong_path
from slipway.docker.labels import LABEL, MANIFEST, RELEASE, ROLE, SERVICE, SOURCE, Names
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container
from slipway.engine.steps import Reporter
from slipway.errors import Problem
from slipway.secrets.fingerprint import fingerprint

READY = 60.0  # seconds that a container gets to answer


def settings_digest(service: Service, secrets: Mapping[str, str]) -> str:
    """The digest of all that a container is started with, and of the checks that it must pass; no secret is in it."""
    facts = {
        "env": dict(service.env),
        "secrets": fingerprint(secrets),
        "port": service.port,
        "publish": service.publish,
        "memory": service.resources.memory,
        "storage": {name: part.path for name, part in service.storage.items()},
        "health": service.health.model_dump(mode="json") if service.health else None,
        "checks": [check.model_dump(mode="json") for check in service.checks],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def spec(names: Names, desired: DesiredRelease[str], number: int) -> ContainerSpec:
    """The serving container of a release."""
    service = desired.service
    return ContainerSpec(
        name=names.container(service.name),
        image=desired.image,
        labels={
            LABEL: names.project,
            SERVICE: service.name,
            ROLE: "serving",
            SOURCE: desired.source,
            MANIFEST: desired.manifest,
            RELEASE: str(number),
        },
        env={**service.env, **desired.secrets},
        publish={service.port: service.published},
        network=names.project,
        aliases=(service.name,),
        volumes={names.data(service.name, name): part.path for name, part in service.storage.items()},
        memory=parse_bytes(service.resources.memory),
        restart="unless-stopped",
    )


def differs(container: Container | None, want: ContainerSpec) -> str | None:
    """Why a container is not the one that is wanted, or None. Pure: every field that a hand may have changed."""
    if container is None:
        return f"{want.name} is not there"
    labels = container.labels
    env = dict(line.split("=", 1) for line in container.env if "=" in line)
    changed = sorted(name for name, value in want.env.items() if env.get(name) != value)
    secret = labels.get(MANIFEST) != want.labels[MANIFEST]
    reasons = (
        (labels.get(SOURCE) != want.labels[SOURCE], "its sources differ from the running release"),
        (bool(changed), f"{', '.join(changed)} differs in its environment"),
        (secret, "its settings or checks differ from the running release"),
        (container.image != want.image, "it runs another image"),
        (not container.running, f"it is {container.state}"),
        (want.network is not None and want.network not in container.aliases, f"it left network {want.network}"),
        (any(container.ports.get(p) != ("127.0.0.1", h) for p, h in want.publish.items()), "its ports were changed"),
        (container.memory != want.memory, "its memory limit was changed"),
        (container.restart != want.restart, "its restart policy was changed"),
        (not container.read_only, "its root file system is writable"),
    )
    return next((reason for true, reason in reasons if true), None)


def holds(container: Container, service: str, port: int) -> bool:
    """Whether it is the service's own container that has a port of this machine."""
    mine = container.labels.get(SERVICE) == service and container.active
    return mine and any(there[1] == port for there in container.ports.values())


def ready(daemon: Daemon, container: str, service: Service, base: str, report: Reporter) -> None:
    """Wait until the container answers its readiness question. Raises Problem when it ends, or at the deadline."""
    began = time.monotonic()
    question = (service.health or Health()).readiness
    answer = NOTHING
    while (waited := time.monotonic() - began) < READY:
        report.cancel.wait(0.03 if waited < 5 else 0.25)
        if waited > 1:
            report.progress(waited, READY, "seconds")
        if answer == NOTHING or int(waited * 10) % 5 == 0:
            found = daemon.containers.inspect(container)
            if not found.running or found.restarts:
                log = "\n".join(daemon.io.logs(container, 60, follow=False))
                cause = ended(found.exit_code, service.resources.memory, log, oom=found.oom)
                raise Problem(f"{service.name}: {cause.summary}", hint=cause.hint)
        answer = _answer(daemon, container, question, base, report)
        if answer == OPEN:
            return
    if isinstance(question, str) and answer.isdigit():
        cause = wrong_path(question, answer)
    elif isinstance(question, tuple):
        cause = Cause(f"`{' '.join(question)}` says: {answer}", f"docker logs {container[:12]}")
    else:
        cause = silent_port(service.port)
    raise Problem(f"{service.name}: not ready within {READY:.0f} s: {cause.summary}", hint=cause.hint)


NOTHING, OPEN = "nothing", "open"
ANSWER = 10  # seconds for a command that asks whether a container is ready


def _answer(daemon: Daemon, container: str, question: str | tuple[str, ...] | None, base: str, report: Reporter) -> str:
    """The answer to a readiness question (see `Health.readiness`): `OPEN`, or what is wrong."""
    if isinstance(question, tuple):
        code, said = daemon.io.execute(container, question, report, ANSWER)
        return (said.strip() or f"exit code {code}") if code else OPEN
    if question is None:
        return OPEN if _listens(base) else NOTHING
    import requests

    try:
        response = requests.get(base + question, timeout=2, proxies={"http": "", "https": ""})
    except requests.RequestException as error:
        return type(error).__name__
    return OPEN if response.ok else str(response.status_code)


def _listens(base: str) -> bool:
    """Whether something listens behind a published port: Docker's own proxy takes a call for nobody, and hangs up."""
    url = urlsplit(base)
    try:
        with socket.create_connection((url.hostname, url.port or 80), timeout=2) as stream:
            stream.settimeout(0.2)
            return stream.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False
