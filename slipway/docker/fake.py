"""A Docker daemon in memory: a container runs until it is stopped, and hooks make any operation fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL
from slipway.docker.state import BuiltImage, Container, Image, ImageConfig, State, Volume
from slipway.engine.reporter import Reporter
from slipway.errors import Problem

FIRST_PORT = 32768


class Store:
    """What a daemon has: images and containers by id, volumes and networks by name, files by owner and path.

    `hooks` are called with the name of each operation (`containers.create`) before it happens, and may raise.
    """

    def __init__(self, offered: Mapping[str, str]) -> None:
        self.offered = dict(offered)  # image id by reference
        self.containers: dict[str, Container] = {}
        self.images: dict[str, Image] = {}
        self.volumes: dict[str, Volume] = {}
        self.networks: dict[str, Mapping[str, str]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.created = 0
        self.memory = 16 * 2**30
        self.hooks: list[Callable[[str], None]] = []
        self.tagging = threading.RLock()  # steps of a run tag images side by side

    def before(self, operation: str, *arguments: str) -> None:
        """Call the hooks with an operation and some of its arguments: `containers.rename hh_auth_01`."""
        for hook in list(self.hooks):
            hook(" ".join((operation, *arguments)))

    def add_image(self, content: bytes, labels: Mapping[str, str]) -> str:
        name = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.images.setdefault(name, Image(name, (), labels))
        return name

    def image(self, image: str, summary: str = "") -> Image:
        found = self.images.get(image) or next((i for i in self.images.values() if image in i.tags), None)
        if found is None:
            raise Problem(summary or f"image {image} could not be tagged", details=f"No such image: {image}")
        return found

    def is_tag(self, tag: str, image: str) -> bool:
        return any(tag in found.tags for name, found in self.images.items() if name == image)

    def find(self, container: str) -> Container | None:
        return next((c for c in self.containers.values() if container in {c.id, c.name}), None)

    def container(self, container: str) -> Container:
        found = self.find(container)
        if found is None:
            raise Problem(f"container {container} could not be read", details=f"No such container: {container}")
        return found

    def change(self, container: str, **changes: object) -> None:
        found = self.container(container)
        self.containers[found.id] = replace(found, **changes)  # type: ignore[arg-type]

    def file_key(self, container: str, path: str) -> tuple[str, str]:
        """The key of a file in `files`: in a volume it outlives its container."""
        found = self.container(container)
        volume = next((v for p, v in found.mounts.items() if path.startswith(f"{p}/")), found.id)
        return (volume, path)


class FakeImages:
    """The `Images` of a store: an image is made of its content."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def build(
        self,
        context: bytes,
        dockerfile: str,  # noqa: ARG002  the content tells images apart
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,  # noqa: ARG002  there is one
        report: Reporter,
    ) -> BuiltImage:
        self._store.before("images.build")
        report.cancel.check()
        image = self._store.add_image(context + repr(sorted(args.items())).encode(), labels)
        for tag in tags:
            self.tag(image, tag)
        return BuiltImage(image, "")

    def inspect(self, image: str) -> ImageConfig:
        self._store.before("images.inspect")
        return ImageConfig((self._store.image(image, f"image {image} could not be read").id,))

    def configuration(self, image: str) -> str:
        self._store.before("images.configuration")
        found = self._store.image(image, f"image {image} could not be read")
        configuration = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Labels": dict(found.labels)},
            "rootfs": {"type": "layers", "diff_ids": [found.id]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "COPY . .", "comment": ""}],
        }
        return json.dumps(configuration)

    def import_rootfs(self, tar: bytes, tag: str, config: Sequence[str]) -> str:
        self._store.before("images.import_rootfs")
        image = self._store.add_image(tar + repr(config).encode(), {})
        self.tag(image, tag)
        return image

    def tag(self, image: str, tag: str) -> None:
        self._store.before("images.tag")
        with self._store.tagging:
            found = self._store.image(image)
            self.untag(tag)
            found = self._store.images[found.id]
            self._store.images[found.id] = replace(found, tags=(*found.tags, tag))

    def untag(self, tag: str) -> None:
        self._store.before("images.untag")
        with self._store.tagging:
            for name, image in list(self._store.images.items()):
                self._store.images[name] = replace(image, tags=tuple(t for t in image.tags if t != tag))


class FakeTransfers:
    """The `ImageTransfers` of a store: only `offered` images can be pulled."""

    def __init__(self, store: Store, images: FakeImages) -> None:
        self._store, self._images = store, images

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:  # noqa: ARG002  it has one of each
        self._store.before("transfers.pull")
        report.cancel.check()
        if reference not in self._store.offered:
            raise Problem(f"{reference} could not be pulled", details="no such host")
        image = self._store.offered[reference]
        self._store.images.setdefault(image, Image(image, (), {}))
        self._images.tag(image, reference)
        return image

    def push(self, tag: str, report: Reporter) -> str:
        self._store.before("transfers.push", tag)
        report.cancel.check()
        return f"sha256:{hashlib.sha256(self._store.image(tag).id.encode()).hexdigest()}"

    def load(self, archive: str, report: Reporter) -> str:
        self._store.before("transfers.load")
        report.cancel.check()
        return self._store.add_image(archive.encode(), {})

    def save(self, image: str, archive: str, report: Reporter) -> None:
        self._store.before("transfers.save")
        report.cancel.check()
        Path(archive).write_bytes(self._store.image(image).id.encode())


class FakeContainers:
    """The `Containers` of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, spec: ContainerSpec) -> str:
        self._store.before("containers.create")
        if self._store.find(spec.name):
            raise Problem(f"container {spec.name} could not be created", details=f"the name {spec.name} is in use")
        self._store.created += 1
        name = hashlib.sha256(f"{self._store.created}".encode()).hexdigest()
        free = FIRST_PORT + self._store.created
        ports = {port: ("127.0.0.1", published or free) for port, published in spec.publish.items()}
        ports |= {port: ("0.0.0.0", port) for port in spec.public}  # noqa: S104  as Docker does
        self._store.containers[name] = Container(
            id=name,
            name=spec.name,
            image=self._store.image(spec.image).id,
            labels=spec.labels,
            state="created",
            env=tuple(f"{key}={value}" for key, value in spec.env.items()),
            ports=ports,
            aliases={spec.network: spec.aliases} if spec.network else {},
            fixed={spec.network: "192.0.2.254"} if spec.network and spec.aside else {},
            address={spec.network: f"192.0.2.{self._store.created}"} if spec.network else {},
            mounts={path: volume for volume, path in spec.volumes.items()},
            memory=spec.memory,
            read_only=True,
            restart=spec.restart,
            image_name=spec.image_name if self._store.is_tag(spec.image_name, spec.image) else spec.image,
        )
        return name

    def start(self, container: str) -> None:
        self._store.before("containers.start")
        self._store.change(container, state="running", started="2026-01-01T00:00:00Z")

    def stop(self, container: str, grace: int) -> None:
        self._store.before("containers.stop", str(grace))
        if self._store.find(container):
            self._store.change(container, state="exited")

    def rename(self, container: str, name: str) -> None:
        self._store.before("containers.rename", name)
        if self._store.find(name):
            raise Problem(f"container {container[:12]} could not be renamed to {name}", details=f"{name} is in use")
        self._store.change(container, name=name)

    def remove(self, container: str) -> None:
        self._store.before("containers.remove")
        if found := self._store.find(container):
            del self._store.containers[found.id]

    def inspect(self, container: str) -> Container:
        self._store.before("containers.inspect")
        return self._store.container(container)

    def find(self, container: str) -> Container | None:
        self._store.before("containers.find", container)
        return self._store.find(container)

    def find_by_port(self, port: int) -> Container | None:
        self._store.before("containers.find_by_port")
        active = (c for c in self._store.containers.values() if c.active)
        return next((c for c in active if port in {published for _, published in c.ports.values()}), None)


class FakeContainerIO:
    """The `ContainerIO` of a store: a command prints its own arguments, a log is one line."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def execute(
        self,
        container: str,
        argv: Sequence[str],
        report: Reporter,
        seconds: float = 60,  # noqa: ARG002  nothing takes long
    ) -> tuple[int, str]:
        self._store.before("io.execute")
        report.cancel.check()
        return (0, " ".join(argv)) if self._store.container(container).running else (126, "it does not run")

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:  # noqa: ARG002  there is no more
        self._store.before("io.logs")
        yield from [f"{self._store.container(container).name} said so"][:tail]

    def read_file(self, container: str, path: str) -> bytes | None:
        self._store.before("io.read_file")
        return self._store.files.get(self._store.file_key(container, path))

    def is_link(self, container: str, path: str) -> bool:  # noqa: ARG002  there are none
        self._store.before("io.is_link")
        return False

    def write_file(self, container: str, path: str, content: bytes, mode: int) -> None:  # noqa: ARG002  no rights here
        self._store.before("io.write_file")
        self._store.files[self._store.file_key(container, path)] = content

    def write_folder(self, container: str, path: str, files: Mapping[str, bytes]) -> None:
        self._store.before("io.write_folder")
        self._store.files |= {self._store.file_key(container, f"{path}/{name}"): files[name] for name in files}


class FakeVolumes:
    """The `Volumes` of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        self._store.before("volumes.create")
        volume = self._store.volumes.setdefault(name, Volume(name, dict(labels)))
        if volume.labels != dict(labels):
            raise Problem(f"volume {name} already exists, with other labels")

    def remove(self, name: str) -> None:
        self._store.before("volumes.remove")
        if any(name in container.mounts.values() for container in self._store.containers.values()):
            raise Problem(f"volume {name} could not be removed", details="it is in use")
        self._store.volumes.pop(name, None)


class FakeNetworks:
    """The `Networks` of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        self._store.before("networks.create")
        self._store.networks.setdefault(name, dict(labels))

    def remove(self, name: str) -> None:
        self._store.before("networks.remove")
        self._store.networks.pop(name, None)


class FakeHostResources:
    """The `HostResources` of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def memory(self) -> int:
        self._store.before("resources.memory")
        return self._store.memory

    def pause(self, container: str) -> None:
        self._store.before("resources.pause", container)
        self._change(container, "paused", "running", "paused")

    def unpause(self, container: str) -> None:
        self._store.before("resources.unpause", container)
        self._change(container, "unpaused", "paused", "running")

    def _change(self, container: str, done: str, state: str, target: str) -> None:
        found = self._store.container(container)
        if found.state != state:
            raise Problem(f"container {container[:12]} could not be {done}", details=f"it is not {state}")
        self._store.change(container, state=target)


class FakeDaemon:
    """A `Daemon` over one `store`. Images are made of their content; nothing can be pulled that was not `offered`."""

    def __init__(self, offered: Mapping[str, str] | None = None) -> None:
        self.store = Store(offered or {})
        self.images = FakeImages(self.store)
        self.transfers = FakeTransfers(self.store, self.images)
        self.containers = FakeContainers(self.store)
        self.io = FakeContainerIO(self.store)
        self.volumes = FakeVolumes(self.store)
        self.networks = FakeNetworks(self.store)
        self.resources = FakeHostResources(self.store)

    def state(self, project: str) -> State:
        self.store.before("state")
        containers = tuple(c for c in self.store.containers.values() if c.labels.get(LABEL) == project)
        volumes = tuple(v for v in self.store.volumes.values() if v.labels.get(LABEL) == project)
        networks = tuple(n for n, labels in self.store.networks.items() if labels.get(LABEL) == project)
        return State(containers, tuple(self.store.images.values()), volumes, networks)
