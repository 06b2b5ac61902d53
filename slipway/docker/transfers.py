"""Images on their way: pulled from and pushed to registries, loaded from and saved to archives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.docker.client import transfer_progress, translated_errors
from slipway.docker.connection import Connection
from slipway.engine.steps import Reporter
from slipway.errors import Problem
from slipway.hosts.host import Command


class DockerTransfers:
    """See `protocols.ImageTransfers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:
        """Pull an image by digest, for this machine or for `platform`; its id. Progress in bytes over all layers."""
        with translated_errors(f"{reference} could not be pulled"), self._connection.long(report) as api:
            for _ in transfer_progress(
                api.pull(reference, stream=True, decode=True, platform=platform or None), report
            ):
                pass
            return str(self._connection.api.inspect_image(reference)["Id"])

    def push(self, tag: str, report: Reporter) -> str:
        """Push a tag; the digest of its manifest. Progress in bytes of the layers that move."""
        name, _, version = tag.rpartition(":")
        with translated_errors(f"{tag} could not be pushed"), self._connection.long(report) as api:
            digest = ""
            for part in transfer_progress(api.push(name, version, stream=True, decode=True), report):
                digest = str((part.get("aux") or {}).get("Digest", "")) or digest
            if not digest:
                raise Problem(f"{tag} was pushed, and the registry returned no digest")
            return digest

    def load(self, archive: str, report: Reporter) -> str:
        """Load a `docker save` archive of one image, which is on this machine; the image's id."""
        summary = f"{archive} could not be loaded"
        with translated_errors(summary), self._connection.host.temporary_upload(Path(archive), report) as there:
            if there == archive:
                with Path(archive).open("rb") as file, self._connection.long(report) as api:
                    said = "".join(str(part.get("stream", "")) for part in self._parts(api.load_image(file), report))
            else:
                command = Command(("docker", "load", "--input", there), timeout=1800)
                said = self._connection.host.run(command, report).raise_for_status(summary).text
            if found := re.search(r"Loaded image(?: ID)?: (\S+)", said):
                return str(self._connection.api.inspect_image(found[1])["Id"])
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
        with (
            translated_errors(f"{image} could not be saved"),
            part.open("wb") as file,
            self._connection.long(report) as api,
        ):
            done = 0
            for chunk in api.get_image(image):
                report.cancel.check()
                done += file.write(chunk)
                report.progress(done, 0, "bytes")
        part.replace(archive)
