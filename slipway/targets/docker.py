"""The environment `local`: one container per service on this machine's Docker, swapped only for a tested one."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.config.models import Service
from slipway.errors import ExitCode, Problem
from slipway.hosts.docker import LABEL, Container, Daemon, Spec, State
from slipway.steps import Probe, Say
from slipway.targets.secrets import fingerprint
from slipway.targets.target import Live, Pod, Release, Verify, Wanted

KEPT = 10  # releases of a service, and their images
GRACE = 10  # seconds that a container gets to stop
READY = 60.0  # seconds that a container gets to answer
SERVICE, ROLE = "slipway.service", "slipway.role"
SOURCE, MANIFEST, RELEASE = "slipway.source", "slipway.manifest", "slipway.release"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9, "": 1}


@dataclass(frozen=True)
class Names:
    """What things are called in one project's Docker."""

    project: str
    short: str

    def container(self, service: str) -> str:
        """The serving container, as people expect it: hh_auth_01."""
        return f"{self.short}_{service}_01"

    def previous(self, service: str) -> str:
        """The earlier container while a new one is being proven."""
        return f"{self.short}_{service}_01_previous"

    def smoke(self, service: str) -> str:
        """The container of a smoke test."""
        return f"{self.short}_{service}_smoke"

    def release(self, service: str, number: int) -> str:
        """The empty volume whose labels are a release's record."""
        return f"{self.short}_{service}_release_{number:04d}"

    def data(self, service: str, name: str) -> str:
        """A volume of the service's own data."""
        return f"{self.short}_{service}_{name}"

    @property
    def secrets(self) -> str:
        """The volume of generated secrets."""
        return f"{self.short}_secrets"


def bytes_of(quantity: str) -> int:
    """A Kubernetes quantity in bytes: 256Mi is 268435456."""
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|k|M|G)?", quantity)
    if not found:
        raise ValueError(f"{quantity} is not a size")
    return int(found[1]) * UNITS[found[2] or ""]


def manifest(service: Service, secrets: Mapping[str, str]) -> str:
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


def spec(names: Names, wanted: Wanted, number: int) -> Spec:
    """The serving container of a release."""
    service = wanted.service
    return Spec(
        name=names.container(service.name),
        image=wanted.image,
        labels={
            LABEL: names.project,
            SERVICE: service.name,
            ROLE: "serving",
            SOURCE: wanted.source,
            MANIFEST: manifest(service, wanted.secrets),
            RELEASE: str(number),
        },
        env={**service.env, **wanted.secrets},
        publish={service.port: service.published},
        network=names.project,
        aliases=(service.name,),
        volumes={names.data(service.name, name): part.path for name, part in service.storage.items()},
        memory=bytes_of(service.resources.memory),
        restart="unless-stopped",
    )


def differs(container: Container | None, want: Spec) -> str | None:
    """Why a container is not the one that is wanted, or None. Pure: every field that a hand may have changed."""
    if container is None:
        return f"{want.name} is not there"
    labels = container.labels
    env = dict(line.split("=", 1) for line in container.env if "=" in line)
    changed = sorted(name for name, value in want.env.items() if env.get(name) != value)
    secret = labels.get(MANIFEST) != want.labels[MANIFEST]
    reasons = (
        (labels.get(SOURCE) != want.labels[SOURCE], "its sources differ from what serves"),
        (bool(changed), f"{', '.join(changed)} differs in its environment"),
        (secret, "its settings or checks differ from what serves"),
        (container.image != want.image, "it runs another image"),
        (not container.running, f"it is {container.state}"),
        (any(container.ports.get(p) != ("127.0.0.1", h) for p, h in want.publish.items()), "its ports were changed"),
        (container.memory != want.memory, "its memory limit was changed"),
        (container.restart != want.restart, "its restart policy was changed"),
        (want.network is not None and want.network not in container.aliases, f"it left network {want.network}"),
        (not container.read_only, "its root file system is writable"),
    )
    return next((reason for true, reason in reasons if true), None)


def releases(state: State, service: str | None = None) -> list[Release]:
    """The records of a daemon, newest first."""
    found = [_record(v.labels) for v in state.volumes if v.labels.get(ROLE) == "release"]
    found = [release for release in found if service in {None, release.service}]
    return sorted(found, key=lambda release: (release.service, -release.number))


def _record(labels: Mapping[str, str]) -> Release:
    return Release(
        service=labels[SERVICE],
        number=int(labels[RELEASE]),
        image=labels["slipway.image"],
        source=labels[SOURCE],
        manifest=labels[MANIFEST],
        time=labels["slipway.time"],
        who=labels["slipway.who"],
        commit=labels["slipway.commit"],
        checks=json.loads(labels["slipway.checks"]),
    )


class DockerTarget:
    """See `Target`. `probe` reads the daemon once; every deed here ends with the daemon as the truth."""

    def __init__(self, daemon: Daemon, names: Names, probe: Probe[State]) -> None:
        self.daemon = daemon
        self.names = names
        self.probe = probe

    def differs(self, facts: State, wanted: Wanted) -> str | None:
        """See `Target.differs`."""
        container = facts.container(self.names.container(wanted.service.name))
        reason = differs(container, spec(self.names, wanted, 0))
        if reason is None and self._recorded(facts, container) is None:
            reason = "what serves was never verified"
        return reason

    def _recorded(self, facts: State, container: Container | None) -> Release | None:
        """The release that a container is, if its record is there."""
        if container is None:
            return None
        number, service = container.labels.get(RELEASE, ""), container.labels.get(SERVICE, "")
        same = (r for r in releases(facts, service) if str(r.number) == number)
        return next((r for r in same if r.manifest == container.labels.get(MANIFEST)), None)

    def apply(self, wanted: Wanted, verify: Verify, say: Say) -> None:
        """See `Target.apply`. A kill at any moment leaves the earlier container, stopped or running, by its name."""
        name = wanted.service.name
        state = self.daemon.state(self.names.project)
        earlier = self._settle(state, name, say)
        number = max((r.number for r in releases(state, name)), default=0) + 1
        want = spec(self.names, wanted, number)
        self.daemon.network(self.names.project, {LABEL: self.names.project})
        for volume in want.volumes:
            self.daemon.volume(volume, {LABEL: self.names.project, SERVICE: name, ROLE: "data"})
        began = time.monotonic()
        if earlier:
            self.daemon.rename(earlier.id, self.names.previous(name))
            self.daemon.stop(earlier.id, GRACE)
        try:
            made = self.daemon.create(want)
            self.daemon.start(made)
            ready(self.daemon, made, wanted.service, f"http://127.0.0.1:{wanted.service.published}", say)
            say.note(f"it serves after a gap of {time.monotonic() - began:.1f} s" if earlier else "it serves")
            verdict = verify(f"http://127.0.0.1:{wanted.service.published}", say)
            if not verdict.ok:
                failed = ", ".join(check for check, ok in verdict.checks.items() if not ok)
                raise Problem(f"{name}: live checks failed: {failed}", why=verdict.evidence)
        except BaseException as error:
            evidence = self._evidence(want.name)
            serving = self._restore(want.name, earlier, wanted.service, say)
            if isinstance(error, Problem):
                raise Problem(
                    error.what, why=f"{error.why}\n{evidence}".strip(), fix=serving, code=error.code
                ) from error
            raise
        self._keep(wanted, want, number, verdict.checks)
        if earlier:
            self.daemon.remove(earlier.id)
        self._prune(name, say)

    def _settle(self, state: State, service: str, say: Say) -> Container | None:
        """Finish what an interrupted swap left: the container that has a record stays, and is what comes back."""
        here = state.container(self.names.container(service))
        before = state.container(self.names.previous(service))
        if before is None:
            return here
        if here and (here.running and self._recorded(state, here)):
            self.daemon.remove(before.id)
            return here
        say.note("an interrupted deploy is cleared away first")
        if here:
            self.daemon.remove(here.id)
        self.daemon.rename(before.id, self.names.container(service))
        return self.daemon.inspect(before.id)

    def _restore(self, failed: str, earlier: Container | None, service: Service, say: Say) -> str:
        """Put the earlier container back; says what serves now, as advice behind a failure."""
        self.daemon.remove(failed)
        if earlier is None:
            return f"{service.name} does not serve; the failed first release was removed"
        if self.daemon.inspect(earlier.id).name != failed:
            self.daemon.rename(earlier.id, failed)
        if earlier.running:
            self.daemon.start(earlier.id)
            ready(self.daemon, earlier.id, service, f"http://127.0.0.1:{service.published}", say)
        number = earlier.labels.get(RELEASE, "?")
        say.note(f"release {number} serves again")
        return f"release {number} of {service.name} serves again; mend the cause and deploy once more"

    def _evidence(self, container: str) -> str:
        try:
            inspected = self.daemon.inspect(container)
            lines = list(self.daemon.logs(container, 50, follow=False))
        except Problem:
            return ""
        return "\n".join((f"{container}: {inspected.state}, exit code {inspected.exit}; its last lines:", *lines))

    def _keep(self, wanted: Wanted, want: Spec, number: int, checks: Mapping[str, bool]) -> None:
        self.daemon.volume(
            self.names.release(wanted.service.name, number),
            {
                LABEL: self.names.project,
                ROLE: "release",
                SERVICE: wanted.service.name,
                RELEASE: str(number),
                SOURCE: wanted.source,
                MANIFEST: want.labels[MANIFEST],
                "slipway.image": wanted.image,
                "slipway.time": datetime.now(UTC).isoformat(timespec="seconds"),
                "slipway.who": wanted.who,
                "slipway.commit": wanted.commit,
                "slipway.checks": json.dumps(dict(checks)),
            },
        )

    def _prune(self, service: str, say: Say) -> None:
        """Remove records and images beyond the newest `KEPT` releases; what another release needs stays."""
        state = self.daemon.state(self.names.project)
        known = releases(state, service)
        kept = {release.image for release in known[:KEPT]}
        for release in known[KEPT:]:
            self.daemon.remove_volume(self.names.release(service, release.number))
        for image in state.images:
            if image.labels.get(SERVICE) == service and image.labels.get(LABEL) == self.names.project:
                old = image.id not in kept and any(release.image == image.id for release in known[KEPT:])
                for tag in image.tags if old else ():
                    self.daemon.untag(tag)
                    say.note(f"{tag} is older than the newest {KEPT} releases and was removed")

    def status(self) -> list[Live]:
        """See `Target.status`."""
        state = self.probe.facts()
        found = [c for c in state.containers if c.labels.get(ROLE) == "serving" and not c.name.endswith("_previous")]
        return sorted((self._live(state, container) for container in found), key=lambda live: live.name)

    def _live(self, state: State, container: Container) -> Live:
        recorded = self._recorded(state, container)
        image = next((i for i in state.images if i.id == container.image), None)
        version = next((t for t in image.tags if ":src-" not in t and ":ok-" not in t), "") if image else ""
        started = datetime.fromisoformat(container.started)
        return Live(
            name=container.labels.get(SERVICE, container.name),
            release=recorded.number if recorded else None,
            wanted=1,
            ready=int(container.running),
            restarts=container.restarts,
            image=version or (image.tags[0] if image and image.tags else ""),
            digest=container.image,
            age=max(0.0, (datetime.now(UTC) - started).total_seconds()) if container.running else 0.0,
            ports=tuple(f"{address}:{port}->{inner}" for inner, (address, port) in container.ports.items()),
            containers=(Pod(container.name, container.state),),
        )

    def history(self, service: str | None) -> list[Release]:
        """See `Target.history`."""
        return releases(self.probe.facts(), service)

    def serving(self, service: str) -> Release | None:
        """The recorded release that serves."""
        state = self.probe.facts()
        return self._recorded(state, state.container(self.names.container(service)))

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """See `Target.logs`."""
        return self.daemon.logs(self._there(service).id, tail, follow=follow)

    def restart(self, service: Service, say: Say) -> None:
        """Stop and start the serving container, and wait until it answers."""
        container = self._there(service.name)
        self.daemon.stop(container.id, GRACE)
        self.daemon.start(container.id)
        ready(self.daemon, container.id, service, f"http://127.0.0.1:{service.published}", say)

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """See `Target.forward`: a container here is published on loopback already."""
        container = self._there(service)
        here = next(iter(container.ports.values()), None)
        if here is None:
            raise Problem(f"{service} publishes no port", fix="./invoke deploy")
        if port is None or port == here[1]:
            yield f"http://127.0.0.1:{here[1]}"
            return
        from slipway.targets.loopback import tunnel

        with tunnel(port, here):
            yield f"http://127.0.0.1:{port}"

    def down(self, services: Sequence[str], say: Say) -> None:
        """Remove the workloads of these services; data, secrets and history stay."""
        state = self.daemon.state(self.names.project)
        for container in state.containers:
            if container.labels.get(SERVICE) in services:
                if container.running:
                    self.daemon.stop(container.id, GRACE)
                self.daemon.remove(container.id)
                say.note(f"{container.name} removed")
        left = self.daemon.state(self.names.project)
        if not left.containers and self.names.project in left.networks:
            self.daemon.remove_network(self.names.project)

    def purge(self, services: Sequence[str], *, everything: bool, say: Say) -> None:
        """Remove data and history of these services, and the project's generated secrets with the last of them."""
        state = self.daemon.state(self.names.project)
        for volume in state.volumes:
            if volume.labels.get(SERVICE) in services or (everything and volume.name == self.names.secrets):
                self.daemon.remove_volume(volume.name)
                say.note(f"volume {volume.name} removed")

    def _there(self, service: str) -> Container:
        container = self.probe.facts().container(self.names.container(service))
        if container is None:
            raise Problem(
                f"{service} is not deployed here", fix=f"./invoke deploy --service {service}", code=ExitCode.USAGE
            )
        return container


def ready(daemon: Daemon, container: str, service: Service, base: str, say: Say) -> None:
    """Wait until the container answers its readiness question. Raises Problem when it ends, or at the deadline."""
    import requests

    began = time.monotonic()
    path = service.health.ready if service.health and service.health.ready else None
    answer = "nothing"
    while (waited := time.monotonic() - began) < READY:
        say.cancel.wait(0.03 if waited < 5 else 0.25)
        if waited > 1:
            say.progress(waited, READY, "seconds")
        if answer == "nothing" or int(waited * 10) % 5 == 0:
            found = daemon.inspect(container)
            if not found.running or found.restarts:
                raise Problem(f"{service.name}: the container ended by itself with exit code {found.exit}")
        try:
            response = requests.get(base + (path or "/"), timeout=2, proxies={"http": "", "https": ""})
        except requests.RequestException as error:
            answer = type(error).__name__
            continue
        if path is None or response.ok:
            return
        answer = f"{response.status_code}"
    raise Problem(f"{service.name}: {path or '/'} did not get ready in {READY:.0f} s; the last answer was {answer}")


class SecretStore:
    """Generated secrets of a project in a volume, mode 0600, read and written through a container that never runs."""

    PATH = "/secrets/secrets.json"

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon, self._names = daemon, names

    def read(self, state: State) -> dict[str, str]:
        """What was generated so far; nothing is made when nothing is there."""
        if not any(volume.name == self._names.secrets for volume in state.volumes):
            return {}
        with self._holder(state) as holder:
            content = self._daemon.read(holder, self.PATH)
        return {str(k): str(v) for k, v in json.loads(content).items()} if content else {}

    def write(self, state: State, values: Mapping[str, str]) -> None:
        """Keep these values and no others."""
        self._daemon.volume(self._names.secrets, {LABEL: self._names.project, ROLE: "secrets"})
        with self._holder(state) as holder:
            self._daemon.write(holder, self.PATH, json.dumps(dict(values), sort_keys=True).encode(), 0o600)

    @contextmanager
    def _holder(self, state: State) -> Iterator[str]:
        image = "slipway/nothing:1"
        if state.tagged(image) is None:
            self._daemon.load_root(_EMPTY, image, ['CMD ["/nothing"]'])
        name = f"{self._names.short}_secrets_{time.time_ns():x}"
        labels = {LABEL: self._names.project, ROLE: "holder"}
        made = self._daemon.create(Spec(name, image, labels, volumes={self._names.secrets: "/secrets"}))
        try:
            yield made
        finally:
            self._daemon.remove(made)


_EMPTY = b"\0" * 10240  # a tar with nothing in it
