"""The real Docker daemon of a host, over the Engine API (docker-py)."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker import APIClient
from docker.errors import APIError, DockerException, NotFound

from slipway.docker.client import VANISHED, ImageVanished, built, client, inspected, moved, told, unreachable
from slipway.docker.protocols import LABEL, Container, Image, ImageConfig, Spec, State, Volume
from slipway.engine.steps import Cancel, Reporter
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Command

if TYPE_CHECKING:
    from slipway.hosts.host import Host

SOCKET = "/var/run/docker.sock"
LATE = 124  # the exit code of a command in a container that was not waited for


class DockerDaemon:
    """The daemon behind a host's socket. It connects when it is first asked something."""

    def __init__(self, host: Host, closing: ExitStack) -> None:
        self._host = host
        self._closing = closing
        self._path = ""
        self._connected: APIClient | None = None
        self._networks = threading.Lock()  # a run's threads look for a network and then create it, one at a time

    @property
    def _api(self) -> APIClient:
        if self._connected is None:
            self._path = self._closing.enter_context(self._host.forward_socket(SOCKET))
            try:
                self._connected = client(self._path)
            except DockerException as error:
                raise unreachable(error) from error
        return self._connected

    @contextmanager
    def _long(self, report: Reporter) -> Iterator[APIClient]:
        """A client for one long conversation: its sockets are shut down when the run is to end, and so is the work.

        Raises Cancelled then, whatever the conversation makes of it.
        """
        version, sockets = self._api.api_version, list[socket.socket]()

        def hang_up() -> None:
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        def opened(one: socket.socket) -> None:
            sockets.append(one)
            report.cancel.check()

        report.cancel.check()
        api = client(self._path, version, opened)
        forget = report.cancel.on_request(hang_up)
        try:
            yield api
        except Exception:
            report.cancel.check()
            raise
        finally:
            forget()
            api.close()
        report.cancel.check()

    def state(self, project: str) -> State:
        """Everything that checks ask about, in five questions and one per container of the project."""
        with told("Docker could not be asked what it has"):
            api = self._api
            filters = {"label": f"{LABEL}={project}"}
            rows = api.containers(all=True, filters=filters)
            images = api.images()
            volumes = api.volumes(filters=filters).get("Volumes") or []
            networks = api.networks(filters=filters)
            version = str(api.version(api_version=False)["Version"])
            containers = [found for row in rows if (found := self.find(row["Id"]))]
        return State(
            version,
            tuple(containers),
            tuple(
                Image(i["Id"], tuple(i.get("RepoTags") or ()), i.get("Labels") or {}, i["Created"], i["Size"])
                for i in images
            ),
            tuple(Volume(v["Name"], v.get("Labels") or {}) for v in volumes),
            tuple(n["Name"] for n in networks),
        )

    def find(self, container: str) -> Container | None:
        """A container by name or id; None where it is not there (any more)."""
        with told(f"container {container} could not be read"):
            try:
                return inspected(self._api.inspect_container(container))
            except NotFound:
                return None

    def publishing(self, port: int) -> Container | None:
        """The container, of any project, that has a port of this machine."""
        with told("Docker could not be asked what it publishes"):
            there = (row for row in self._api.containers() if port in {p.get("PublicPort") for p in row["Ports"]})
            found = next(there, None)
        return self.find(found["Id"]) if found else None

    def inspect(self, container: str) -> Container:
        with told(f"container {container} could not be read"):
            return inspected(self._api.inspect_container(container))

    def build(
        self,
        context: bytes,
        dockerfile: str,
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,
        report: Reporter,
    ) -> str:
        """Build an image from a tar and tag it only when it is whole; its id. The stream's errors are raised.

        Docker takes a step's image from its cache and may find it gone a moment later, when somebody removes an image
        that shares the step: then it is built again, without the cache.
        """
        import stamina

        image = ""
        with told("the image could not be built"):
            for attempt in stamina.retry_context(on=ImageVanished, attempts=3, wait_initial=0.1):
                with attempt, self._long(report) as api:
                    stream = api.build(
                        fileobj=io.BytesIO(context),
                        custom_context=True,
                        dockerfile=dockerfile,
                        buildargs=dict(args),
                        labels=dict(labels),
                        platform=platform or None,
                        nocache=attempt.num > 1,
                        rm=True,
                        forcerm=True,
                        decode=True,
                    )
                    image = built(stream, report)
            for tag in tags:
                self.tag(image, tag)
        return image

    def config(self, image: str) -> ImageConfig:
        """The configuration of an image that is there."""
        with told(f"image {image} could not be read"):
            found = self._api.inspect_image(image)
        entrypoint = tuple(found["Config"].get("Entrypoint") or ())
        return ImageConfig(tuple(found["RootFS"].get("Layers") or ()), entrypoint)

    def load_root(self, tar: bytes, tag: str, config: Sequence[str]) -> str:
        """Import a root file system as an image of one layer; `config` are Dockerfile instructions."""
        with told(f"image {tag} could not be imported"):
            name, _, version = tag.rpartition(":")
            self._api.import_image_from_data(tar, repository=name, tag=version, changes=list(config))
            return str(self._api.inspect_image(tag)["Id"])

    def tag(self, image: str, tag: str) -> None:
        name, _, version = tag.rpartition(":")
        with told(f"image {tag} could not be tagged"):
            self._api.tag(image, name, version)

    def untag(self, tag: str) -> None:
        """Take a name from an image; one that is gone already is gone.

        Docker takes the steps behind an image away with it, and fails where another removal has just taken one that
        both had: then it is asked again.
        """
        import stamina

        def raced(error: Exception) -> bool:
            return isinstance(error, APIError) and VANISHED.search(str(error)) is not None

        with told(f"image {tag} could not be removed"):
            for attempt in stamina.retry_context(on=raced, attempts=3, wait_initial=0.1):
                with attempt, contextlib.suppress(NotFound):
                    self._api.remove_image(tag)

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:
        """Pull an image by digest, for this machine or for `platform`; its id. Progress in bytes over all layers."""
        with told(f"{reference} could not be pulled"), self._long(report) as api:
            for _ in moved(api.pull(reference, stream=True, decode=True, platform=platform or None), report):
                pass
            return str(self._api.inspect_image(reference)["Id"])

    def push(self, tag: str, report: Reporter) -> str:
        """Push a tag; the digest of its manifest. Progress in bytes of the layers that move."""
        name, _, version = tag.rpartition(":")
        with told(f"{tag} could not be pushed"), self._long(report) as api:
            digest = ""
            for part in moved(api.push(name, version, stream=True, decode=True), report):
                digest = str((part.get("aux") or {}).get("Digest", "")) or digest
            if not digest:
                raise Problem(f"{tag} was pushed, and the registry told no digest")
            return digest

    def load(self, archive: str, report: Reporter) -> str:
        """Load a `docker save` archive of one image, which is on this machine; the image's id."""
        summary = f"{archive} could not be loaded"
        with told(summary), self._host.temporary_upload(Path(archive), report) as there:
            if there == archive:
                with Path(archive).open("rb") as file, self._long(report) as api:
                    said = "".join(str(part.get("stream", "")) for part in self._parts(api.load_image(file), report))
            else:
                command = Command(("docker", "load", "--input", there), timeout=1800)
                said = self._host.run(command, report).raise_for_status(summary).text
            if found := re.search(r"Loaded image(?: ID)?: (\S+)", said):
                return str(self._api.inspect_image(found[1])["Id"])
        raise Problem(f"{archive} holds no image", hint="./invoke bundle.verify")

    @staticmethod
    def _parts(stream: Iterator[Any], report: Reporter) -> Iterator[dict[str, Any]]:
        for part in stream:
            report.cancel.check()
            if isinstance(part, dict):
                yield part

    def save(self, image: str, archive: str, report: Reporter) -> None:
        """Write an image as a `docker save` archive, whole or not at all."""
        part = Path(f"{archive}.part")
        with told(f"{image} could not be saved"), part.open("wb") as file, self._long(report) as api:
            done = 0
            for chunk in api.get_image(image):
                report.cancel.check()
                done += file.write(chunk)
                report.progress(done, 0, "bytes")
        part.replace(archive)

    def execute(self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60) -> tuple[int, str]:
        """Run a command in a running container: its exit code, and both streams as text.

        One that takes longer is not waited for; its code is 124, as timeout(1) has it.
        """
        limit = Cancel()
        timer, forget = threading.Timer(seconds, limit.request), report.cancel.on_request(limit.request)
        timer.start()
        try:
            with told(f"`{argv[0]}` could not be run in {container}"), self._long(replace(report, cancel=limit)) as api:
                made = api.exec_create(container, list(argv))["Id"]
                said = api.exec_start(made).decode(errors="replace")
                return int(api.exec_inspect(made)["ExitCode"]), said
        except Cancelled:
            report.cancel.check()
            return LATE, f"no answer within {seconds:g} s"
        finally:
            timer.cancel()
            forget()

    def create(self, spec: Spec) -> str:
        with told(f"container {spec.name} could not be made"):
            api = self._api
            host = api.create_host_config(
                binds=[f"{volume}:{path}" for volume, path in spec.volumes.items()],
                port_bindings={port: ("127.0.0.1", here or None) for port, here in spec.publish.items()},
                read_only=True,
                tmpfs={"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"},  # noqa: S108  the container's own
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                mem_limit=spec.memory or None,
                restart_policy={"Name": spec.restart},
                network_mode=spec.network or "bridge",
            )
            network = spec.network and api.create_networking_config(
                {
                    spec.network: api.create_endpoint_config(
                        aliases=list(spec.aliases), ipv4_address=self._last(spec.network) if spec.aside else None
                    )
                }
            )
            made = api.create_container(
                spec.image,
                name=spec.name,
                labels=dict(spec.labels),
                environment=dict(spec.env),
                ports=list(spec.publish),
                volumes=list(spec.scratch),  # unnamed: made with the container, and removed with it
                host_config=host,
                networking_config=network or None,
            )
            return str(made["Id"])

    def _last(self, network: str) -> str | None:
        import ipaddress

        ranges = [part["Subnet"] for part in self._api.inspect_network(network)["IPAM"]["Config"] or ()]
        found = next((r for r in map(ipaddress.ip_network, ranges) if r.version == 4), None)
        return str(found[-2]) if found else None

    def start(self, container: str) -> None:
        with told(f"container {container[:12]} could not be started"):
            self._api.start(container)

    def stop(self, container: str, grace: int) -> None:
        with told(f"container {container[:12]} could not be stopped"):
            self._api.stop(container, timeout=grace)

    def rename(self, container: str, name: str) -> None:
        with told(f"container {container[:12]} could not be renamed to {name}"):
            self._api.rename(container, name)

    def remove(self, container: str) -> None:
        with told(f"container {container[:12]} could not be removed"):
            try:
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Lines of both streams, oldest first; with `follow` until the container ends."""
        with told(f"the logs of {container[:12]} could not be read"):
            if not follow:
                yield from self._api.logs(container, tail=tail).decode(errors="replace").splitlines()
                return
            rest = b""
            for chunk in self._api.logs(container, tail=tail, stream=True, follow=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)

    def volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume if it is absent. Raises Problem if one of that name has other labels."""
        with told(f"volume {name} could not be made"):
            self._api.create_volume(name, labels=dict(labels))
            # Docker's answer to `create` leaves out the labels of a volume from before its last restart.
            there = self._api.inspect_volume(name).get("Labels") or {}
            if there != dict(labels):
                raise Problem(
                    f"volume {name} is there already, with other labels", hint=f"docker volume inspect {name}"
                )

    def remove_volume(self, name: str) -> None:
        with told(f"volume {name} could not be removed"):
            self._api.remove_volume(name)

    def network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network if it is absent. Docker allows two of one name: they are made one again (see `_merge`)."""
        with told(f"network {name} could not be created"), self._networks:
            kept, *doubles = self._named(name) or [self._api.create_network(name, driver="bridge", labels=dict(labels))]
            for double in doubles:
                self._merge(name, double["Id"], kept["Id"])

    def remove_network(self, name: str) -> None:
        """Remove a network, and any others that were created under the same name; one that is gone is gone."""
        with told(f"network {name} could not be removed"), self._networks:
            for network in self._named(name):
                self._api.remove_network(network["Id"])

    def _named(self, name: str) -> list[dict[str, Any]]:
        """Every network of exactly that name, the oldest first. Docker refuses to work with a name that two have."""
        return sorted(self._api.networks(names=[f"^{re.escape(name)}$"]), key=lambda network: str(network["Created"]))

    def _merge(self, name: str, double: str, kept: str) -> None:
        """Move the running containers of one network to another, with their DNS names, and remove the empty one."""
        for container in self._api.inspect_network(double).get("Containers") or {}:
            aliases = inspected(self._api.inspect_container(container)).aliases.get(name, ())
            self._api.disconnect_container_from_network(container, double)
            self._api.connect_container_to_network(container, kept, aliases=list(aliases))
        self._api.remove_network(double)

    def read(self, container: str, path: str) -> bytes | None:
        """A file of a container, running or not; None if it is not there."""
        with told(f"{path} of container {container[:12]} could not be read"):
            try:
                stream, _ = self._api.get_archive(container, path)
            except NotFound:
                return None
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                member = archive.next()
                content = archive.extractfile(member) if member else None
                return content.read() if content else None

    def write(self, container: str, path: str, content: bytes, mode: int) -> None:
        """Put a file into a container, running or not, with root as its owner."""
        folder, _, name = path.rpartition("/")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        with told(f"{path} of container {container[:12]} could not be written"):
            self._api.put_archive(container, folder or "/", buffer.getvalue())
