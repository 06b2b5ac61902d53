"""A Docker daemon in memory, for tests: it keeps what it was told to, and a container runs until it is stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from slipway.docker.protocols import LABEL, Container, Image, ImageConfig, Spec, State, Volume
from slipway.engine.steps import Reporter
from slipway.errors import Problem

FIRST_PORT = 32768


class FakeDaemon:
    """See `Daemon`. Images are made of their content; nothing can be pulled that was not `offered`."""

    def __init__(self, offered: Mapping[str, str] | None = None) -> None:
        self.offered = dict(offered or {})  # reference: image id
        self.containers: dict[str, Container] = {}
        self.images: dict[str, Image] = {}
        self.volumes: dict[str, Volume] = {}
        self.networks: dict[str, Mapping[str, str]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self._made = 0

    def state(self, project: str) -> State:
        mine = tuple(c for c in self.containers.values() if c.labels.get(LABEL) == project)
        volumes = tuple(v for v in self.volumes.values() if v.labels.get(LABEL) == project)
        networks = tuple(n for n, labels in self.networks.items() if labels.get(LABEL) == project)
        return State("26.1.5", mine, tuple(self.images.values()), volumes, networks)

    def build(
        self,
        context: bytes,
        dockerfile: str,  # noqa: ARG002  the content tells images apart
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,  # noqa: ARG002  there is one
        report: Reporter,
    ) -> str:
        report.cancel.check()
        made = self._image(context + repr(sorted(args.items())).encode(), labels)
        for tag in tags:
            self.tag(made, tag)
        return made

    def _image(self, content: bytes, labels: Mapping[str, str]) -> str:
        name = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.images.setdefault(name, Image(name, (), labels, 0, len(content)))
        return name

    def config(self, image: str) -> ImageConfig:
        return ImageConfig((self._found(image, f"image {image} could not be read").id,))

    def load_root(self, tar: bytes, tag: str, config: Sequence[str]) -> str:
        made = self._image(tar + repr(config).encode(), {})
        self.tag(made, tag)
        return made

    def _found(self, image: str, summary: str = "") -> Image:
        found = self.images.get(image) or next((i for i in self.images.values() if image in i.tags), None)
        if found is None:
            raise Problem(summary or f"image {image} could not be tagged", details=f"No such image: {image}")
        return found

    def tag(self, image: str, tag: str) -> None:
        found = self._found(image)
        self.untag(tag)
        found = self.images[found.id]
        self.images[found.id] = replace(found, tags=(*found.tags, tag))

    def untag(self, tag: str) -> None:
        for name, image in list(self.images.items()):
            self.images[name] = replace(image, tags=tuple(t for t in image.tags if t != tag))

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:  # noqa: ARG002  it has one of each
        report.cancel.check()
        if reference not in self.offered:
            raise Problem(f"{reference} could not be pulled", details="no such host")
        made = self.offered[reference]
        self.images.setdefault(made, Image(made, (), {}))
        self.tag(made, reference)
        return made

    def push(self, tag: str, report: Reporter) -> str:
        report.cancel.check()
        return f"sha256:{hashlib.sha256(self._found(tag).id.encode()).hexdigest()}"

    def load(self, archive: str, report: Reporter) -> str:
        report.cancel.check()
        return self._image(archive.encode(), {})

    def save(self, image: str, archive: str, report: Reporter) -> None:
        report.cancel.check()
        self.files[("", archive)] = self._found(image).id.encode()

    def execute(
        self,
        container: str,
        argv: Sequence[str],
        report: Reporter,
        seconds: float = 60,  # noqa: ARG002  nothing takes long
    ) -> tuple[int, str]:
        report.cancel.check()
        return (0, " ".join(argv)) if self.inspect(container).running else (126, "it does not run")

    def create(self, spec: Spec) -> str:
        if self.find(spec.name):
            raise Problem(f"container {spec.name} could not be made", details=f"the name {spec.name} is in use")
        self._made += 1
        name = hashlib.sha256(f"{self._made}".encode()).hexdigest()
        ports = {inner: ("127.0.0.1", here or FIRST_PORT + self._made) for inner, here in spec.publish.items()}
        self.containers[name] = Container(
            id=name,
            name=spec.name,
            image=self._found(spec.image).id,
            labels=spec.labels,
            state="created",
            env=tuple(f"{key}={value}" for key, value in spec.env.items()),
            ports=ports,
            aliases={spec.network: spec.aliases} if spec.network else {},
            fixed={spec.network: "192.0.2.254"} if spec.network and spec.aside else {},
            mounts={path: volume for volume, path in spec.volumes.items()},
            memory=spec.memory,
            read_only=True,
            restart=spec.restart,
        )
        return name

    def _change(self, container: str, **changes: object) -> None:
        there = self.inspect(container)
        self.containers[there.id] = replace(there, **changes)  # type: ignore[arg-type]

    def start(self, container: str) -> None:
        self._change(container, state="running", started="2026-01-01T00:00:00Z")

    def stop(self, container: str, grace: int) -> None:  # noqa: ARG002  it ends at once
        self._change(container, state="exited")

    def rename(self, container: str, name: str) -> None:
        if self.find(name):
            raise Problem(f"container {container[:12]} could not be renamed to {name}", details=f"{name} is in use")
        self._change(container, name=name)

    def remove(self, container: str) -> None:
        if there := self.find(container):
            del self.containers[there.id]

    def inspect(self, container: str) -> Container:
        found = self.find(container)
        if found is None:
            raise Problem(f"container {container} could not be read", details=f"No such container: {container}")
        return found

    def find(self, container: str) -> Container | None:
        return next((c for c in self.containers.values() if container in {c.id, c.name}), None)

    def publishing(self, port: int) -> Container | None:
        there = (c for c in self.containers.values() if c.active)
        return next((c for c in there if port in {here for _, here in c.ports.values()}), None)

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:  # noqa: ARG002  there is no more
        yield from [f"{self.inspect(container).name} said so"][:tail]

    def volume(self, name: str, labels: Mapping[str, str]) -> None:
        made = self.volumes.setdefault(name, Volume(name, dict(labels)))
        if made.labels != dict(labels):
            raise Problem(f"volume {name} is there already, with other labels", hint=f"docker volume inspect {name}")

    def remove_volume(self, name: str) -> None:
        self.volumes.pop(name, None)

    def network(self, name: str, labels: Mapping[str, str]) -> None:
        self.networks.setdefault(name, dict(labels))

    def remove_network(self, name: str) -> None:
        self.networks.pop(name, None)

    def read(self, container: str, path: str) -> bytes | None:
        return self.files.get(self._place(container, path))

    def write(self, container: str, path: str, content: bytes, mode: int) -> None:  # noqa: ARG002  no rights here
        self.files[self._place(container, path)] = content

    def _place(self, container: str, path: str) -> tuple[str, str]:
        """A file's place: in a volume it outlives its container."""
        there = self.inspect(container)
        volume = next((v for p, v in there.mounts.items() if path.startswith(f"{p}/")), there.id)
        return (volume, path)
