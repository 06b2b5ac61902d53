"""Images to and from registries and archives: pull, push, load, save."""

from __future__ import annotations

import re
from pathlib import Path

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.docker.streams import loaded_text, transferred
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.host import Command


class DockerTransfers:
    """The `ImageTransfers` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:
        """Pull an image by digest, for this machine or for `platform`; its id."""
        with translated_errors(f"{reference} could not be pulled"), self._connection.interruptible(report) as api:
            for _ in transferred(api.pull(reference, stream=True, decode=True, platform=platform or None), report):
                pass
            return str(self._connection.api.inspect_image(reference)["Id"])

    def push(self, tag: str, report: Reporter) -> str:
        """Push a tag; the digest of its manifest."""
        name, _, version = tag.rpartition(":")
        with translated_errors(f"{tag} could not be pushed"), self._connection.interruptible(report) as api:
            digest = ""
            for message in transferred(api.push(name, version, stream=True, decode=True), report):
                digest = str((message.get("aux") or {}).get("Digest", "")) or digest
            if not digest:
                raise Problem(f"{tag} was pushed, but the registry returned no digest")
            return digest

    def load(self, archive: str, report: Reporter) -> str:
        """Load a `docker save` archive of one image, which is on this machine; the image's id."""
        summary, host = f"{archive} could not be loaded", self._connection.host
        with translated_errors(summary), host.temporary_upload(Path(archive), report) as path:
            if path == archive:
                with Path(archive).open("rb") as file, self._connection.interruptible(report) as api:
                    text = loaded_text(api.load_image(file), report)
            else:
                command = Command(("docker", "load", "--input", path), timeout=1800)
                text = host.run(command, report).raise_for_status(summary).text
            if found := re.search(r"Loaded image(?: ID)?: (\S+)", text):  # as `docker load` prints it
                return str(self._connection.api.inspect_image(found[1])["Id"])
        raise Problem(f"{archive} contains no image", details=text)

    def save(self, image: str, archive: str, report: Reporter) -> None:
        """Write an image as a `docker save` archive, complete or not at all."""
        part = Path(f"{archive}.part")
        with (
            translated_errors(f"{image} could not be saved"),
            part.open("wb") as file,
            self._connection.interruptible(report) as api,
        ):
            done = 0
            for chunk in api.get_image(image):
                report.cancel.check()
                done += file.write(chunk)
                report.progress(done, 0, "bytes")
        part.replace(archive)
