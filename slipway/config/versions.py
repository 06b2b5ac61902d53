"""The shapes of tools.yaml and images.yaml: what is fetched, from where, and what it must be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.config.fields import Count, Model


class Script(Model):
    """An upstream script: `sha256` is of the file at `url`, `version` of what it installs."""

    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    version: str


class LeinScript(Script):
    """Leiningen's own script and the jar that it runs."""

    jar_url: str
    jar_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Packages = dict[str, tuple[str, ...]]  # by release (debian-12) or family (debian)


class DockerTool(Model):
    """Which Docker, and where it comes from."""

    minimum: str = "20.10"
    script: Script | None = None
    packages: Packages = {}


class JavaTool(Model):
    """Which JDK."""

    minimum: Count = 17
    packages: Packages = {}


class LeiningenTool(Model):
    """Which Leiningen."""

    packages: Packages = {}
    script: LeinScript | None = None


class ClojureTool(Model):
    """What stands in where Clojars can't be reached: a Leiningen profile and the packages that it reads."""

    profile: str = "debian"
    packages: Packages = {}


class Download(Model):
    """A file to fetch, and what it must be."""

    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Archive(Model):
    """A release archive to fetch, and what it must be, as Kubernetes publishes it: by SHA-512."""

    url: str
    sha512: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Kubernetes(Model):
    """Kubernetes' own release archives, which a bundle takes apart."""

    version: str
    platforms: dict[str, Archive]  # by Docker platform: linux/amd64


class Binary(Model):
    """A program of one file. What is there already is taken from `minimum` on; else `version` is installed."""

    version: str
    minimum: str
    platforms: dict[str, Download]  # by Docker platform: linux/amd64


class Tools(Model):
    """tools.yaml."""

    minikube: Binary | None = None
    kubectl: Binary | None = None
    kubernetes: Kubernetes | None = None
    docker: DockerTool = DockerTool()
    java: JavaTool = JavaTool()
    leiningen: LeiningenTool = LeiningenTool()
    clojure: ClojureTool = ClojureTool()


class Jlink(Model):
    """A base made by jlink: the JDK's modules that are in it."""

    kind: Literal["jlink"] = "jlink"
    modules: tuple[str, ...]


class Debian(Model):
    """A base made of Debian's packages. Patterns are those of a gitignore file, `!` among them.

    `packages` names what is wanted and picks from what that depends on; libraries come by themselves.
    `files` picks from what is in them, `owned` are folders of the unprivileged user.
    """

    kind: Literal["packages"] = "packages"
    packages: Annotated[tuple[str, ...], Field(min_length=1)]
    files: Annotated[tuple[str, ...], Field(min_length=1)]
    owned: tuple[str, ...] = ()


class Base(Model):
    """Where a base image comes from, the first that works: a bundle that was loaded, a pinned reference, a recipe."""

    upstream: Annotated[str, Field(pattern=r"@sha256:[0-9a-f]{64}$")] | None = None
    recipe: Annotated[Jlink | Debian, Field(discriminator="kind")] | None = None


class Images(Model):
    """images.yaml: what services stand on, what Slipway runs on a cluster, what a Minikube's node is made of."""

    bases: dict[str, Base] = {}
    parts: dict[str, Base] = {}
    cluster: dict[str, Base] = {}
