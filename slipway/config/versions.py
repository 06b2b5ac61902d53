"""tools.yaml and images.yaml as models: pinned versions, URLs and checksums."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from slipway.config.fields import Count, Model, ToolVersion, kind_tag


class Script(Model):
    """An upstream script: `sha256` is that of the file at `url`, `version` that of what it installs."""

    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    version: ToolVersion


class LeinScript(Script):
    """Leiningen's own script, and the jar that it runs."""

    jar_url: str
    jar_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Packages = dict[str, tuple[str, ...]]  # by release (debian-12) or family (debian)


class DockerTool(Model):
    """Docker: the oldest version that will do, and where another comes from."""

    minimum: ToolVersion = "20.10"
    script: Script | None = None
    packages: Packages = {}


class JavaTool(Model):
    """The JDK."""

    minimum: Count = 17
    packages: Packages = {}


class LeiningenTool(Model):
    """Leiningen."""

    packages: Packages = {}
    script: LeinScript | None = None


class ClojureTool(Model):
    """The fallback where Clojars can't be reached: a Leiningen profile, and the packages that it uses."""

    profile: str = "debian"
    packages: Packages = {}


class Download(Model):
    """A file to download, and its checksum."""

    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Archive(Model):
    """A release archive to download. Its checksum is a SHA-512, which is what Kubernetes publishes."""

    url: str
    sha512: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Kubernetes(Model):
    """Kubernetes' own release archives, from which a bundle takes the images."""

    version: ToolVersion
    platforms: dict[str, Archive]  # by Docker platform: linux/amd64


class Binary(Model):
    """A program of one file. An installed one is used from `minimum` on; otherwise `version` is installed."""

    version: ToolVersion
    minimum: ToolVersion
    platforms: dict[str, Download]  # by Docker platform: linux/amd64


class Tools(Model):
    """tools.yaml."""

    minikube: Binary | None = None
    kubectl: Binary | None = None
    kubernetes: Kubernetes | None = None
    docker: DockerTool = Field(default_factory=DockerTool)
    java: JavaTool = Field(default_factory=JavaTool)
    leiningen: LeiningenTool = Field(default_factory=LeiningenTool)
    clojure: ClojureTool = Field(default_factory=ClojureTool)

    @property
    def programs(self) -> dict[str, Binary | None]:
        """The programs of one file, by name."""
        return {"minikube": self.minikube, "kubectl": self.kubectl}


class Jlink(Model):
    """A base image made by jlink, with these modules of the JDK."""

    kind: Literal["jlink"] = "jlink"
    modules: tuple[str, ...]


class Debian(Model):
    """A base image made of Debian packages. Patterns are those of a gitignore file, including `!`.

    `packages` names packages and selects from their dependencies; shared libraries are always included.
    `files` selects from the files in them; `owned` are folders that belong to the unprivileged user.
    """

    kind: Literal["packages"] = "packages"
    packages: Annotated[tuple[str, ...], Field(min_length=1)]
    files: Annotated[tuple[str, ...], Field(min_length=1)]
    owned: tuple[str, ...] = ()


Recipe = Annotated[
    Annotated[Jlink, Tag("{kind: jlink}")]
    | Annotated[Debian, Tag("{kind: packages}")],
    Discriminator(kind_tag),
]  # fmt: skip


class Base(Model):
    """Where a base image comes from, the first that works: a loaded bundle, a pinned reference, a recipe."""

    upstream: Annotated[str, Field(pattern=r"@sha256:[0-9a-f]{64}$")] | None = None
    recipe: Recipe | None = None


class Images(Model):
    """images.yaml: the base images of services, what Slipway runs on a cluster, and a Minikube's own images."""

    bases: dict[str, Base] = {}
    parts: dict[str, Base] = {}
    cluster: dict[str, Base] = {}
