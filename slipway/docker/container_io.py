"""Commands, logs and files of containers."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from docker.errors import NotFound
from docker.utils import decode_json_header

from slipway.docker.archive import writable_tar
from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import Cancelled

TIMED_OUT = 124  # the exit code of a command that took too long, as of timeout(1)


class DockerContainerIO:
    """The `ContainerIO` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60) -> tuple[int, str]:
        """Run a command in a running container: its exit code, and both streams as text.

        One that takes more than `seconds` is not waited for; its exit code is 124, as of timeout(1).
        """
        limit = Cancel()
        timer, forget = threading.Timer(seconds, limit.request), report.cancel.on_request(limit.request)
        timer.start()
        try:
            with (
                translated_errors(f"`{argv[0]}` could not be run in {container}"),
                self._connection.interruptible(replace(report, cancel=limit)) as api,
            ):
                command = api.exec_create(container, list(argv))["Id"]
                output = api.exec_start(command).decode(errors="replace")
                return int(api.exec_inspect(command)["ExitCode"]), output
        except Cancelled:
            report.cancel.check()
            return TIMED_OUT, f"no answer within {seconds:g} s"
        finally:
            timer.cancel()
            forget()

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:
        """The last lines of both streams, oldest first; with `follow` until the container exits."""
        with translated_errors(f"the logs of {container[:12]} could not be read"):
            if not follow:
                yield from self._connection.api.logs(container, tail=tail).decode(errors="replace").splitlines()
                return
            rest = b""
            for chunk in self._connection.api.logs(container, tail=tail, stream=True, follow=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)

    def read_file(self, container: str, path: str) -> bytes | None:
        """A file of a container, running or not; None if it has none. Raises Problem if there is no such container."""
        with translated_errors(f"{path} of container {container[:12]} could not be read"):
            try:
                stream, _ = self._connection.api.get_archive(container, path)
            except NotFound:
                self._connection.api.inspect_container(container)
                return None
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                member = archive.next()
                content = archive.extractfile(member) if member else None
                return content.read() if content else None

    def is_link(self, container: str, path: str) -> bool:
        """Whether a path of a container, running or not, is a symbolic link.

        What is at a path a header says (Docker Engine API, ContainerArchiveInfo), which docker-py reads with the whole
        of a folder only.
        """
        api = self._connection.api
        url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
        with translated_errors(f"{path} of container {container[:12]} could not be read"):
            answer = api.head(url, params={"path": path}, timeout=api.timeout)
            stat = answer.headers.get("x-docker-container-path-stat", "")
            return bool(stat and decode_json_header(stat).get("linkTarget"))

    def write_file(self, container: str, path: str, content: bytes, mode: int) -> None:
        """Write a file, owned by root, into a container, running or not."""
        folder, _, name = path.rpartition("/")
        with translated_errors(f"{path} of container {container[:12]} could not be written"):
            self._connection.api.put_archive(container, folder or "/", writable_tar({name: content}, mode))

    def write_folder(self, container: str, path: str, files: Mapping[str, bytes]) -> None:
        """Write files, by their paths in a folder that is there, which anybody in the container may change."""
        with translated_errors(f"{path} of container {container[:12]} could not be written"):
            self._connection.api.put_archive(container, path, writable_tar(files, 0o666))
