"""The shapes of the files a team writes: frozen, and nothing unknown in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from slipway.config.assertions.expect import Expect
from slipway.config.fields import (
    Count,
    Cpus,
    JsonPath,
    Label,
    MinikubeSize,
    Model,
    Port,
    Regex,
    Size,
    UserPath,
    Variable,
    Version,
    Whole,
)
from slipway.config.versions import Images, Tools


class Generate(Model):
    """A random secret: `bytes` of it, written as `encoding`."""

    bytes: Annotated[Whole, Field(ge=8, le=1024)] = 32
    encoding: Literal["base64url", "base64", "hex"] = "base64url"


class Generated(Model):
    """`{generate: {…}}`: made once per environment and kept there."""

    generate: Generate


class Of(Model):
    """`{of: SERVICE}`: another service's secret of the same name."""

    of: Label


class FromEnv(Model):
    """`{env: VARIABLE}`: from the environment of whoever deploys."""

    env: str


class FromFile(Model):
    """`{file: PATH}`: from a file of whoever deploys."""

    file: str


class Autoscale(Model):
    """`replicas` to `max`, by percent of the CPU request."""

    max: Count
    cpu: Annotated[Count, Field(le=100)] = 70


class Resources(Model):
    """What a copy asks for: CPU as a request, memory also as the limit."""

    cpu: Cpus = "100m"
    memory: Size = "256Mi"


class Health(Model):
    """HTTP paths, or a command where nothing speaks HTTP."""

    ready: str | None = None
    live: str | None = None
    exec: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.exec and (self.ready or self.live):
            raise ValueError("health is either paths or exec, not both")
        return self

    @property
    def question(self) -> str | tuple[str, ...] | None:
        """How readiness is asked: a path, a command in the container, or None: whether the port is listened on."""
        return self.exec or self.ready or self.live


class Storage(Model):
    """A volume that outlives containers and `down`."""

    path: Annotated[str, Field(pattern=r"^/")]
    size: Size = "1Gi"


class Save(Model):
    """A value kept for later lines: a header, the body, or what a JSONPath finds; `match` takes its first group."""

    header: str | None = None
    body: bool = False
    at: JsonPath | None = Field(default=None, alias="json")
    match: Regex | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum((self.header is not None, self.body, self.at is not None)) != 1:
            raise ValueError("save takes one of header, body, json")
        return self


class Check(Model):
    """One curl line and what it must answer."""

    name: str
    curl: str
    expect: Expect
    save: dict[Variable, Save] = {}


def url_variable(need: str) -> str:
    """The variable under which checks know the URL of a service that is needed: `AUTH_URL`."""
    return f"{need.upper().replace('-', '_')}_URL"


class Service(Model):
    """One service, as its service.yaml says. `folder` is where it was found."""

    name: Label
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}$")] = "0.0.1"
    build: Literal["lein", "none"] | None = None
    image: str | None = None
    base: str = "clojure"
    dockerfile: str = "Dockerfile"
    sources: tuple[str, ...] = ()
    port: Port = 8080
    publish: Port | None = None
    replicas: Count = 1
    autoscale: Autoscale | None = None
    resources: Resources = Resources()
    env: dict[str, str] = {}
    secrets: dict[Variable, Generated | Of] = {}
    config: str | None = None
    health: Health | None = None
    storage: dict[Label, Storage] = {}
    needs: tuple[Label, ...] = ()
    checks: tuple[Check, ...] = ()
    folder: Path = Path()

    @field_validator("env", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        if isinstance(value, dict):
            plain = (int, float)
            return {k: str(v) if isinstance(v, plain) and not isinstance(v, bool) else v for k, v in value.items()}
        return value

    @property
    def shared(self) -> tuple[Path, ...]:
        """The folders beside the service that its build reads too."""
        return tuple(Path(os.path.normpath(self.folder / relative)) for relative in self.sources)

    @property
    def published(self) -> int:
        """The port on this machine's loopback, for `local`."""
        return self.publish or self.port

    @property
    def leiningen(self) -> bool:
        """Whether Leiningen makes its jar."""
        return self.image is None and (self.build or self._default_build()) == "lein"

    def _default_build(self) -> str:
        return "lein" if (self.folder / "project.clj").is_file() else "none"


class Cluster(Model):
    """The Minikube behind an environment."""

    kind: Literal["minikube"] = "minikube"
    driver: Literal["docker"] = "docker"
    runtime: Literal["containerd"] = "containerd"
    cpus: Annotated[Whole, Field(ge=2)] = 2
    memory: MinikubeSize = "4g"
    kubernetes: Version = "1.34.4"


class Override(Model):
    """What an environment changes of a service."""

    replicas: Count | None = None
    autoscale: Autoscale | None = None
    resources: Resources | None = None
    env: dict[str, str] = {}
    publish: Port | None = None

    _as_text = field_validator("env", mode="before")(Service._as_text.__func__)  # type: ignore[attr-defined]  # noqa: SLF001


class Environment(Model):
    """Where services run. Neither `host` nor `context`: this machine."""

    name: str
    host: str | None = None
    context: str | None = None
    cluster: Cluster | None = None
    namespace: Label | None = None
    registry: str | None = None
    protected: bool = False
    secrets: dict[Variable, FromEnv | FromFile] = {}
    services: dict[Label, Override] = {}

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.host and self.context:
            raise ValueError("an environment is behind a host or a context, not both")
        return self

    @property
    def local(self) -> bool:
        """Whether it is this machine's Docker."""
        return self.name == "local"

    @property
    def minikube(self) -> bool:
        """Whether a Minikube of ours is behind it, here or on a host."""
        return not self.local and self.context is None

    @property
    def machine(self) -> Cluster:
        """The Minikube as it is wanted."""
        return self.cluster or Cluster()


class HostEntry(Model):
    """One SSH host."""

    address: str  # a name, an IP address, or a Host of ~/.ssh/config
    user: str | None = None
    port: Port | None = None
    jump: str | None = None  # another host of the file, or of ~/.ssh/config
    key: UserPath | None = None
    groups: tuple[str, ...] = ()
    proxy: str | None = None


class Hosts(Model):
    """hosts.yaml."""

    known_hosts: UserPath | None = None  # default: the user's own
    at_once: Annotated[Count, Field(le=100)] = 10  # hosts that are worked on together
    hosts: dict[str, HostEntry] = {}


class Project(Model):
    """slipway.yaml: `name` is the namespace and the images' first word, `short` begins container names."""

    name: Label
    short: Label
    services: str = "services"


class Config(Model):
    """All of it, checked whole."""

    root: Path
    folder: Path  # of the services
    project: Project
    environments: dict[str, Environment]
    hosts: Hosts
    tools: Tools
    images: Images
    services: dict[str, Service]

    def needs(self, *names: str) -> tuple[str, ...]:
        """All that services need, directly or not, what they need first; without the services themselves."""
        found: dict[str, None] = {}

        def walk(name: str) -> None:
            for need in self.services[name].needs:
                walk(need)
                found[need] = None

        for name in names:
            walk(name)
        return tuple(need for need in found if need not in names)

    def service_for(self, environment: Environment, name: str) -> Service:
        """A service as one environment wants it."""
        service = self.services[name]
        change = environment.services.get(name)
        if change is None:
            return service
        update = {k: v for k, v in change.model_dump(exclude_unset=True).items() if k in {"replicas", "publish"}}
        update |= {k: v for k in ("autoscale", "resources") if (v := getattr(change, k)) is not None}
        return service.model_copy(update=update | {"env": {**service.env, **change.env}})
