"""docker-py's client over one small pool of connections, and its errors translated into ours."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException, InvalidConfigFile
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from docker.utils.config import find_config_file
from requests import RequestException

from slipway.docker.registry_errors import is_denied, is_fault
from slipway.errors import (
    ConnectionLost,
    NextCommand,
    Problem,
    RegistryDenied,
    RegistryFault,
    TagVanished,
    Unreachable,
    UsageError,
)
from slipway.hosts.host import ForwardedSocket

POOL = 2  # connections that are kept open: fewer than the streams that a host over SSH has room for
TIMEOUT = 60  # seconds for one response of the daemon
UNTAGGED = re.compile("tag does not exist|image does not exist locally")  # moby's words for a tag that is to be pushed


class _OnePool(UnixHTTPAdapter):  # type: ignore[misc]
    """docker-py's transport with one pool of connections, where its own has one per requested path."""

    def __init__(self, forwarded: ForwardedSocket) -> None:
        super().__init__(f"http+unix://{forwarded.path}", TIMEOUT, max_pool_size=POOL)
        self._forwarded = forwarded

    def get_connection(self, url: str, proxies: Any = None) -> Any:  # noqa: ARG002  one for all
        return self.pools["docker"]

    def send(self, *args: Any, **options: Any) -> Any:
        try:
            return super().send(*args, **options)
        except RequestException:
            if self._forwarded.problem:  # the connection behind the socket failed, which ends the one to it
                raise self._forwarded.problem from None
            raise


def client(
    forwarded: ForwardedSocket, version: str = "auto", opened: Callable[[socket.socket], None] | None = None
) -> APIClient:
    """docker-py's client. `version` is the API's; `auto` costs a request. `opened` is called with each new socket.

    Where the host of a forwarded socket can't be reached, its requests raise the Problem that says why. Raises
    UsageError where Docker's configuration on this machine can't be read.
    """
    path = forwarded.path

    class Connection(UnixHTTPConnection):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            if opened:
                opened(self.sock)

    class Pool(UnixHTTPConnectionPool):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            return Connection(self.base_url, self.socket_path, self.timeout)

    adapter = _OnePool(forwarded)
    adapter.pools["docker"] = Pool("docker", path, TIMEOUT, maxsize=POOL)
    try:
        api = APIClient(base_url=f"unix://{path}", version=version, timeout=TIMEOUT)
    except (InvalidConfigFile, ValueError, TypeError, AttributeError) as error:  # docker-py's, of what `auths` holds
        file = find_config_file()
        raise UsageError(f"{file} can't be read", details=str(error), hint="correct it, or docker login") from error
    api.trust_env = False  # a socket has no proxy and no .netrc, which requests would look for each time
    api.get_adapter(api.base_url).close()
    api.mount("http+docker://", adapter)
    return api


@contextmanager
def translated_errors(summary: str) -> Iterator[None]:
    """Raise docker-py's and the transport's errors as a Problem with this summary.

    TagVanished where a tag that is to be pushed does not exist, RegistryDenied where a registry wants other
    credentials, RegistryFault where it failed itself, Unreachable where the daemon does not answer.
    """
    try:
        yield
    except APIError as error:
        details = str(error.explanation or error)
        raise _kind(details)(summary, details=details) from error
    except (DockerException, RequestException, OSError) as error:
        raise unreachable(error) from error


def _kind(details: str) -> type[Problem]:
    if UNTAGGED.search(details):
        return TagVanished
    if is_fault(details):
        return RegistryFault
    return RegistryDenied if is_denied(details) else Problem


def unreachable(error: Exception) -> Problem:
    """The error for a daemon that does not answer, with what a user can do about it."""
    text = str(error)
    if "Permission denied" in text:
        hint = "run as root, or let setup add you to group docker"
        summary = "this user has no access to Docker's socket"
        return Unreachable(summary, details=text, hint=hint, commands=[NextCommand("setup")])
    return ConnectionLost("Docker does not answer", details=text, commands=[NextCommand("setup")])
