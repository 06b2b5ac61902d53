"""What goes on in containers: commands, logs, files."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from docker.errors import NotFound

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.engine.steps import Cancel, Reporter
from slipway.errors import Cancelled

LATE = 124  # the exit code of a command in a container that was not waited for


class DockerContainerIO:
    """See `protocols.ContainerIO`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60) -> tuple[int, str]:
        """Run a command in a running container: its exit code, and both streams as text.

        One that takes longer is not waited for; its code is 124, as timeout(1) has it.
        """
        limit = Cancel()
        timer, forget = threading.Timer(seconds, limit.request), report.cancel.on_request(limit.request)
        timer.start()
        try:
            with (
                translated_errors(f"`{argv[0]}` could not be run in {container}"),
                self._connection.long(replace(report, cancel=limit)) as api,
            ):
                made = api.exec_create(container, list(argv))["Id"]
                said = api.exec_start(made).decode(errors="replace")
                return int(api.exec_inspect(made)["ExitCode"]), said
        except Cancelled:
            report.cancel.check()
            return LATE, f"no answer within {seconds:g} s"
        finally:
            timer.cancel()
            forget()

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Lines of both streams, oldest first; with `follow` until the container ends."""
        with translated_errors(f"the logs of {container[:12]} could not be read"):
            if not follow:
                yield from self._connection.api.logs(container, tail=tail).decode(errors="replace").splitlines()
                return
            rest = b""
            for chunk in self._connection.api.logs(container, tail=tail, stream=True, follow=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)

    def read_file(self, container: str, path: str) -> bytes | None:
        """A file of a container, running or not; None if it is not there."""
        with translated_errors(f"{path} of container {container[:12]} could not be read"):
            try:
                stream, _ = self._connection.api.get_archive(container, path)
            except NotFound:
                return None
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                member = archive.next()
                content = archive.extractfile(member) if member else None
                return content.read() if content else None

    def write_file(self, container: str, path: str, content: bytes, mode: int) -> None:
        """Put a file into a container, running or not, with root as its owner."""
        folder, _, name = path.rpartition("/")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        with translated_errors(f"{path} of container {container[:12]} could not be written"):
            self._connection.api.put_archive(container, folder or "/", buffer.getvalue())
