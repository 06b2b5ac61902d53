"""The files that a team writes, as models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from slipway.config.assertions.expect import Expect
from slipway.config.builder import Build, Builder
from slipway.config.expose import Acme, Expose
from slipway.config.fields import (
    AbsolutePath,
    Count,
    Cpus,
    Duration,
    JsonPath,
    Label,
    MinikubeSize,
    Model,
    Port,
    Regex,
    Size,
    SshDestination,
    SshUser,
    UserPath,
    Variable,
    Version,
    Whole,
    kind_tag,
)
from slipway.config.quantity import seconds
from slipway.config.secret_sources.registry import EnvironmentSources, ServiceSources, by_name
from slipway.config.ssh_destination import Destination, parse_destination
from slipway.config.versions import Images, Tools


class Autoscale(Model):
    """`replicas` to `max`, by percent of the CPU request."""

    max: Count
    cpu: Annotated[Count, Field(le=100)] = 70


class Limits(Model):
    """What a replica may use at most, where that is more than it requests."""

    cpu: Cpus | None = None
    memory: Size | None = None


def _is_unlimited(value: object) -> bool:
    return value == Limits()


class Resources(Model):
    """What a replica requests; its memory is its limit too, unless there is another in `limits`."""

    cpu: Cpus = "100m"
    memory: Size = "256Mi"
    limits: Limits = Field(  # records of earlier versions lack it
        default=Limits(), examples=["{cpu: 500m, memory: 512Mi}"], exclude_if=_is_unlimited
    )

    @property
    def memory_limit(self) -> str:
        """The memory that a replica may use at most."""
        return self.limits.memory or self.memory


class Health(Model):
    """Probes: HTTP paths, or a command for what does not speak HTTP."""

    ready: str | None = None
    live: str | None = None
    exec: tuple[str, ...] | None = Field(default=None, examples=["[pg_isready, --quiet]"])

    @model_validator(mode="after")
    def _paths_or_command(self) -> Self:
        if self.exec and (self.ready or self.live):
            raise ValueError("use either paths or exec, not both")
        return self

    @property
    def readiness(self) -> str | tuple[str, ...] | None:
        """The readiness probe: an HTTP path, a command in the container, or None for a TCP connection to the port."""
        return self.exec or self.ready or self.live


class Storage(Model):
    """A volume that outlives containers and `down`."""

    path: AbsolutePath
    size: Size = "1Gi"


class Save(Model):
    """A value saved for later checks: a header, the body, or what a JSONPath finds; of `match` its first group."""

    header: str | None = None
    body: bool = False
    at: JsonPath | None = Field(default=None, alias="json")
    match: Regex | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum((self.header is not None, self.body, self.at is not None)) != 1:
            raise ValueError("use exactly one of header, body, json")
        return self


class Check(Model):
    """One curl line and what the answer must be."""

    name: str
    curl: str
    expect: Expect = Field(examples=["{status: 200}"])
    save: dict[Variable, Save] = Field(default={}, examples=["{ID: {json: $.id}}"])


class Smoke(Model):
    """Whether the smoke tests of services that need this one may use its container again.

    It may where the container keeps nothing of a test (`reuse`), or where commands in it make its data fresh:
    `snapshot` is run when all that a test needs is ready, `restore` brings that state back before the next test.
    """

    reuse: bool = False
    snapshot: tuple[str, ...] = Field(default=(), examples=["[sh, /data.sh, snapshot]"])
    restore: tuple[str, ...] = Field(default=(), examples=["[sh, /data.sh, restore]"])

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.snapshot) != bool(self.restore):
            raise ValueError("use snapshot and restore together")
        return self


def _is_never_reused(value: object) -> bool:
    return value == Smoke()


def url_variable(need: str) -> str:
    """The variable in checks that holds the URL of a service that is needed: `AUTH_URL`."""
    return f"{need.upper().replace('-', '_')}_URL"


def _is_none(value: object) -> bool:
    return value is None


class Service(Model):
    """service.yaml. `folder` is the folder that it is in."""

    name: Label
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}$")] = "0.0.1"
    build: Build | None = Field(
        default=None, examples=["lein", "{run: [mvn, -q, package], jar: target/app.jar, inputs: [pom.xml, src]}"]
    )
    image: str | None = None
    base: str = "clojure"
    dockerfile: str = "Dockerfile"
    sources: tuple[str, ...] = Field(default=(), examples=["[../shared]"])
    port: Port = 8080
    publish: Port | None = None
    replicas: Count = 1
    autoscale: Autoscale | None = Field(default=None, examples=["{max: 6, cpu: 70}"])
    resources: Resources = Field(default=Resources(), examples=["{cpu: 100m, memory: 256Mi}"])
    env: dict[str, str] = Field(default={}, examples=["{LOG_LEVEL: info}"])
    secrets: Annotated[dict[Variable, ServiceSources], BeforeValidator(by_name)] = Field(
        default={}, examples=["[NAME]", "{NAME: {generate: {}}}"]
    )
    config: str | None = None
    start_within: Duration | None = Field(default=None, exclude_if=_is_none)  # records of earlier versions lack it
    drain_within: Duration | None = Field(default=None, exclude_if=_is_none)  # and this
    health: Health | None = Field(default=None, examples=["{ready: /health/ready}", "{exec: [pg_isready]}"])
    storage: dict[Label, Storage] = Field(default={}, examples=["{data: {path: /var/lib/data}}"])
    needs: tuple[Label, ...] = Field(default=(), examples=["[auth]"])
    expose: Expose | None = Field(
        default=None, exclude_if=_is_none, examples=["{host: api.example.org, path: /tokens, tls: acme}"]
    )
    checks: tuple[Check, ...] = Field(
        default=(), examples=["[{name: it answers, curl: 'curl \"$BASE/\"', expect: {status: 200}}]"]
    )
    smoke: Smoke = Field(  # records of earlier versions lack it
        default=Smoke(),
        examples=["{reuse: true}", "{snapshot: [sh, /data.sh, snapshot], restore: [sh, /data.sh, restore]}"],
        exclude_if=_is_never_reused,
    )
    folder: Path = Path()

    @property
    def reusable(self) -> bool:
        """Whether a container of it may serve several smoke tests."""
        return bool(self.smoke.snapshot) or (self.smoke.reuse and not self.storage)

    @property
    def shared(self) -> tuple[Path, ...]:
        """The files and folders outside the service that its build reads too."""
        return tuple(Path(os.path.normpath(self.folder / relative)) for relative in self.sources)

    @property
    def start_seconds(self) -> int | None:
        """How long a copy may take to be ready, where the service says so."""
        return seconds(self.start_within) if self.start_within else None

    @property
    def drain_seconds(self) -> int | None:
        """How long a replaced copy may finish its requests, where the service says so."""
        return seconds(self.drain_within) if self.drain_within else None

    @property
    def published(self) -> int:
        """The port that `local` publishes on this machine's loopback."""
        return self.publish or self.port

    @property
    def leiningen(self) -> bool:
        """Whether Leiningen builds its jar."""
        return self.image is None and (self.build or self._default_build()) == "lein"

    @property
    def builder(self) -> Builder | None:
        """The builder of its jar, where that is neither Leiningen nor the Dockerfile alone."""
        return self.build if self.image is None and isinstance(self.build, Builder) else None

    @property
    def has_jar(self) -> bool:
        """Whether its image is made of a jar that Slipway has built."""
        return self.leiningen or self.builder is not None

    def overridden_by(self, change: Override | None) -> Service:
        """The service with what an environment changes of it."""
        if change is None:
            return self
        names = ("replicas", "publish", "autoscale", "resources", "start_within", "drain_within", "expose")
        update = {name: value for name in names if (value := getattr(change, name)) is not None}
        return self.model_copy(update=update | {"env": {**self.env, **change.env}})

    def _default_build(self) -> str:
        return "lein" if (self.folder / "project.clj").is_file() else "none"


class ClusterSpec(Model):
    """A Minikube that Slipway makes, on this machine or on an SSH host."""

    kind: Literal["minikube"] = "minikube"
    host: str | None = None
    driver: Literal["docker"] = "docker"
    runtime: Literal["containerd"] = "containerd"
    cpus: Annotated[Whole, Field(ge=2)] = 2
    memory: MinikubeSize = "4g"
    kubernetes: Version = "1.34.4"
    registry: str | None = None  # the team's; without it one beside the Minikube


class ContextSpec(Model):
    """A cluster that is there, by its context in the user's kubeconfig."""

    kind: Literal["context"] = "context"
    context: str
    registry: str | None = None


def _cluster_kind(value: object) -> str:
    return kind_tag(value, "minikube")


Cluster = Annotated[
    Annotated[ClusterSpec, Tag("{kind: minikube}")]
    | Annotated[ContextSpec, Tag("{kind: context}")],
    Discriminator(_cluster_kind),
]  # fmt: skip


class Override(Model):
    """What an environment changes of a service."""

    replicas: Count | None = None
    autoscale: Autoscale | None = None
    resources: Resources | None = None
    env: dict[str, str] = {}
    publish: Port | None = None
    start_within: Duration | None = None
    drain_within: Duration | None = None
    expose: Expose | None = None


BUILT_IN = ("local", "minikube")  # the environments of this machine, which need no file
HERE = "here"  # this machine, in `docker`


class Environment(Model):
    """environments/*.yaml: where services run, on a Docker or on a cluster."""

    name: str
    docker: str | None = Field(default=None, examples=["here", "box1"])
    cluster: Cluster | None = None
    namespace: Label | None = None
    proxy: bool = False  # of a Docker: whether new releases of services take over from running ones without a gap
    acme: Acme = Field(default=Acme(), examples=["{email: ops@example.org}"])
    protected: bool = False
    secrets: dict[Variable, EnvironmentSources] = {}
    services: dict[Label, Override] = {}

    @model_validator(mode="after")
    def _docker_or_cluster(self) -> Self:
        if self.docker and self.cluster:
            raise ValueError("use either docker or cluster, not both")
        if not self.docker and not self.cluster and self.name not in BUILT_IN:
            raise ValueError("where do its services run? `docker: here`, `docker: HOST` or `cluster: {kind: minikube}`")
        if self.proxy and not self.on_docker:
            raise ValueError("`proxy` is for a Docker: a cluster replaces copies without a gap by itself")
        return self

    @property
    def on_docker(self) -> bool:
        """Whether its services run on a Docker; else on a cluster."""
        return bool(self.docker) or (self.name == "local" and self.cluster is None)

    @property
    def host(self) -> str | None:
        """The SSH host that its services run on; None where that is this machine, or a cluster that is there."""
        if self.on_docker:
            return self.docker if self.docker != HERE else None
        return self.cluster_spec.host

    @property
    def server(self) -> bool:
        """Whether its services run on a server: the Docker of an SSH host."""
        return self.on_docker and self.host is not None

    def of(self, service: Service) -> Service:
        """A service as it is here: with this environment's overrides. Its own `expose` is for servers."""
        if service.expose and not self.server:
            service = service.model_copy(update={"expose": None})
        return service.overridden_by(self.services.get(service.name))

    @property
    def location(self) -> str:
        """Where its services run, in words."""
        if self.on_docker:
            whose = f"the Docker of SSH host {self.host}" if self.host else "this machine's Docker"
            return f"{whose}, one container per service"
        if self.context:
            return f"kubeconfig context {self.context}"
        return f"a Minikube on SSH host {self.host}" if self.host else "a Minikube on this machine"

    @property
    def context(self) -> str | None:
        """The kubeconfig context of a cluster that is there."""
        return self.cluster.context if isinstance(self.cluster, ContextSpec) else None

    @property
    def registry(self) -> str | None:
        """The team's registry, where its cluster pulls from one."""
        return self.cluster.registry if self.cluster else None

    @property
    def cluster_spec(self) -> ClusterSpec:
        """The Minikube as its file describes it, or the default one."""
        return self.cluster if isinstance(self.cluster, ClusterSpec) else ClusterSpec()


class HostEntry(Model):
    """One SSH host."""

    address: SshDestination  # a name, an IP address, or a Host of ~/.ssh/config; with user@ and :port if not below
    user: SshUser | None = None
    port: Port | None = None
    jump: SshDestination | None = None  # another host of the file, or of ~/.ssh/config
    key: UserPath | None = None
    groups: tuple[str, ...] = ()
    proxy: str | None = None

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        found = parse_destination(self.address)
        for key, given, said in (("user", self.user, found.user), ("port", self.port, found.port)):
            if given is not None and said is not None:
                raise ValueError(f"`{key}` is in `address` too: write `address: {found.host}`, `{key}: {given}`")
        return self

    @property
    def destination(self) -> Destination:
        """What to connect to, as ssh's command line would name it."""
        found = parse_destination(self.address)
        return Destination(found.host, self.user or found.user, self.port or found.port)


class Hosts(Model):
    """hosts.yaml."""

    known_hosts: UserPath | None = None  # default: the user's own
    at_once: Annotated[Count, Field(le=100)] = 10  # hosts that are prepared in parallel
    hosts: dict[str, HostEntry] = {}


class Project(Model):
    """slipway.yaml: `name` is the namespace and the first part of image names, `short` the first of container names."""

    name: Label
    short: Label
    services: Annotated[str, Field(min_length=1)] = "services"


class Config(Model):
    """All files of a project, validated together."""

    root: Path
    folder: Path  # of the services
    project: Project
    environments: dict[str, Environment]
    hosts: Hosts
    tools: Tools
    images: Images
    services: dict[str, Service]

    def needs(self, *names: str) -> tuple[str, ...]:
        """All services that these need, directly or not, in dependency order; without these themselves."""
        found: dict[str, None] = {}

        def walk(name: str) -> None:
            for need in self.services[name].needs:
                walk(need)
                found[need] = None

        for name in names:
            walk(name)
        return tuple(need for need in found if need not in names)

    def service_for(self, environment: Environment, name: str) -> Service:
        """A service as it is in an environment."""
        return environment.of(self.services[name])
