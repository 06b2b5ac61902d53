"""The images of a Docker daemon: build, inspect, import, tag."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from slipway.docker.build_errors import VANISHED, BuildSource
from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.docker.state import BuiltImage, ImageConfig
from slipway.docker.streams import built_image
from slipway.docker.transfers import DockerTransfers
from slipway.engine.reporter import Reporter
from slipway.errors import BuildKitNeeded, ImageVanished


class DockerImages:
    """The `Images` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self,
        context: bytes,
        dockerfile: str,
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,
        report: Reporter,
    ) -> BuiltImage:
        """Build an image from a tar and tag it only when it is complete.

        What the classic builder can't build BuildKit does, where `docker buildx` is on this machine.
        """
        from slipway.docker import buildx

        source = BuildSource(context, dockerfile, args, labels, platform)
        try:
            built = self._build(source, report)
        except BuildKitNeeded:
            if not buildx.available(report):
                raise
            report.note("the Dockerfile needs BuildKit: built by docker buildx")
            image, starts = buildx.build(self._connection.socket, source, report)
            built = BuiltImage(image, self._base(image, starts, platform, report))
        for tag in tags:
            self.tag(built.id, tag)
        return built

    def _build(self, source: BuildSource, report: Reporter) -> BuiltImage:
        """Build an image with the classic builder.

        Docker takes the image of a step from its cache and may find it gone a moment later, when somebody removes an
        image that shares the step: then it is built again, without the cache.
        """
        import stamina

        built = BuiltImage("", "")
        with translated_errors("the image could not be built"):
            for attempt in stamina.retry_context(on=ImageVanished, attempts=3, wait_initial=0.1):
                with attempt, self._connection.interruptible(report) as api:
                    stream = api.build(
                        fileobj=io.BytesIO(source.context),
                        custom_context=True,
                        dockerfile=source.dockerfile,
                        buildargs=dict(source.args),
                        labels=dict(source.labels),
                        platform=source.platform or None,
                        nocache=attempt.num > 1,
                        rm=True,
                        forcerm=True,
                        decode=True,
                    )
                    built = built_image(stream, source, report, self._ancestor)
        return built

    def _ancestor(self, image: str, steps: int) -> str:
        """The image so many steps of a build before one."""
        return str(self._connection.api.history(image)[steps]["Id"])

    def _base(self, image: str, starts: Sequence[str], platform: str, report: Reporter) -> str:
        """Which of the images that the stages of a build begin with `image` has all layers of; empty if of none.

        BuildKit has what it pulled for itself alone: pulled again, it costs a question, since the layers are here.
        """
        layers, bases = self.inspect(image).layers, dict[int, str]()
        for start in starts:
            with translated_errors(f"image {start} could not be read"):
                try:
                    base = str(self._connection.api.inspect_image(start)["Id"])
                except ImageNotFound:
                    base = DockerTransfers(self._connection).pull(start, report, platform)
            found = self.inspect(base).layers
            if layers[: len(found)] == found:
                bases[len(found)] = base
        return bases[max(bases)] if bases else ""

    def inspect(self, image: str) -> ImageConfig:
        """What is asked most of an image's configuration."""
        with translated_errors(f"image {image} could not be read"):
            found = self._connection.api.inspect_image(image)
        entrypoint = tuple(found["Config"].get("Entrypoint") or ())
        return ImageConfig(tuple(found["RootFS"].get("Layers") or ()), entrypoint)

    def configuration(self, image: str) -> str:
        """The whole of it, the JSON of the OCI image specification, apart from `empty_layer` in the history."""
        with translated_errors(f"image {image} could not be read"):
            found, history = self._connection.api.inspect_image(image), self._connection.api.history(image)
        configuration = {
            "architecture": found["Architecture"],
            "os": found["Os"],
            **({"variant": found["Variant"]} if found.get("Variant") else {}),
            "created": found["Created"],
            "config": found["Config"],
            "rootfs": {"type": "layers", "diff_ids": list(found["RootFS"].get("Layers") or ())},
            "history": [_history(entry) for entry in reversed(history)],
        }
        return json.dumps(configuration)

    def import_rootfs(self, tar: bytes, tag: str, config: Sequence[str]) -> str:
        """Import a root file system as an image of one layer; its id. `config` are Dockerfile instructions."""
        with translated_errors(f"image {tag} could not be imported"):
            name, _, version = tag.rpartition(":")
            api = self._connection.api
            api.import_image_from_data(tar, repository=name, tag=version, changes=list(config))
            return str(api.inspect_image(tag)["Id"])

    def tag(self, image: str, tag: str) -> None:
        """Give an image a tag, which another image loses."""
        name, _, version = tag.rpartition(":")
        with translated_errors(f"image {tag} could not be tagged"):
            self._connection.api.tag(image, name, version)

    def untag(self, tag: str) -> None:
        """Remove a tag, and with its last one the image. A tag that does not exist is no error.

        Docker removes the images of an image's build steps with it, and fails where another removal has just taken
        one that both shared: then it is asked again.
        """
        import stamina

        with translated_errors(f"image {tag} could not be removed"):
            for attempt in stamina.retry_context(on=_step_vanished, attempts=3, wait_initial=0.1):
                with attempt, contextlib.suppress(NotFound):
                    self._connection.api.remove_image(tag)


def _history(entry: Mapping[str, Any]) -> dict[str, Any]:
    created = datetime.fromtimestamp(entry["Created"], UTC).isoformat().replace("+00:00", "Z")
    return {"created": created, "created_by": entry["CreatedBy"], "comment": entry.get("Comment", "")}


def _step_vanished(error: Exception) -> bool:
    return isinstance(error, APIError) and VANISHED.search(str(error)) is not None
