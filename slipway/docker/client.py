"""docker-py as Slipway uses it: a client, the streams of builds and pulls, containers and errors translated."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from requests import RequestException

from slipway.docker.state import Container
from slipway.engine.steps import Reporter
from slipway.errors import ConnectionLost, ImageVanished, Problem, TagVanished, Unreachable

POOL = 2  # connections that are kept open: fewer than the streams that a host over SSH has room for
TIMEOUT = 60  # seconds for one answer of the daemon
VANISHED = re.compile(  # the daemon's words for a step of an image, or a layer of one, that is not there any more
    r"sha256[:/][0-9a-f]{64}.*(no such|does not exist|not found)"
    r"|(no such|unknown|unrecognized|not found).*sha256:[0-9a-f]{64}",
    re.IGNORECASE | re.DOTALL,
)
UNTAGGED = re.compile("tag does not exist|image does not exist locally")  # the daemon's words on what it is to push


def build_result(stream: Iterator[dict[str, Any]], report: Reporter) -> str:
    """The id of the image that a build makes, its steps reported as they come. Raises Problem for one that fails."""
    image = ""
    for part in stream:
        report.cancel.check()
        image = _build_step(part, report) or image
    report.cancel.check()
    if not image:
        raise Problem("Docker built no image and gave no reason", hint="docker version; then try again")
    return image


def _build_step(part: dict[str, Any], report: Reporter) -> str:
    if "error" in part:
        details = str(part["error"])
        kind = ImageVanished if VANISHED.search(details) else Problem
        raise kind(
            "the image could not be built", details=details, hint="fix the Dockerfile and run the same command again"
        )
    text = str(part.get("stream", "")).strip()
    if text:
        report.output("stdout", text)
    if text.startswith("Step ") and "/" in text:
        done, _, total = text.split()[1].partition("/")
        if done.isdigit() and total.isdigit():
            report.progress(int(done), int(total), "steps")
    return str((part.get("aux") or {}).get("ID", ""))


def transfer_progress(stream: Iterator[dict[str, Any]], report: Reporter) -> Iterator[dict[str, Any]]:
    """The parts of a pull or push, with progress in bytes over all layers. Raises APIError for one that says so."""
    layers: dict[str, tuple[int, int]] = {}
    for part in stream:
        report.cancel.check()
        if "error" in part:
            raise APIError(str(part["error"]))
        detail = part.get("progressDetail") or {}
        if detail.get("total"):
            current, whole = detail.get("current", 0), detail["total"]
            layers[part["id"]] = (min(current, whole), whole)  # a push counts its archive's headers too
            done, total = (sum(column) for column in zip(*layers.values(), strict=True))
            report.progress(done, total, "bytes")
        yield part


def parse_container(raw: Mapping[str, Any]) -> Container:
    """A container from the answer of `docker inspect`."""
    config, host, state = raw["Config"], raw["HostConfig"], raw["State"]
    bindings = raw["NetworkSettings"].get("Ports") or host.get("PortBindings") or {}  # none while it is restarting
    ports = {
        int(port.split("/")[0]): (there[0].get("HostIp", ""), int(there[0].get("HostPort") or 0))
        for port, there in bindings.items()
        if there
    }
    networks = raw["NetworkSettings"].get("Networks") or {}
    return Container(
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        image=raw["Image"],
        labels=config.get("Labels") or {},
        state=state["Status"],
        exit_code=state.get("ExitCode", 0),
        oom=bool(state.get("OOMKilled")),
        env=tuple(config.get("Env") or ()),
        ports=ports,
        aliases={name: tuple(there.get("Aliases") or ()) for name, there in networks.items()},
        fixed={
            name: there["IPAMConfig"]["IPv4Address"]
            for name, there in networks.items()
            if (there.get("IPAMConfig") or {}).get("IPv4Address")
        },
        mounts={m["Destination"]: m["Name"] for m in raw.get("Mounts", []) if m.get("Type") == "volume"},
        memory=host.get("Memory") or 0,
        read_only=bool(host.get("ReadonlyRootfs")),
        restart=(host.get("RestartPolicy") or {}).get("Name") or "no",
        restarts=raw.get("RestartCount", 0),
        started=state.get("StartedAt", ""),
    )


class _OnePool(UnixHTTPAdapter):  # type: ignore[misc]
    """docker-py's transport with one pool of connections; its own has one for every path that is asked."""

    def get_connection(self, url: str, proxies: Any = None) -> Any:  # noqa: ARG002  whatever it is
        return self.pools["docker"]


def client(path: str, version: str = "auto", opened: Callable[[socket.socket], None] | None = None) -> APIClient:
    """docker-py's client. `version` is the API's; to find it out costs a question. `opened` hears of each socket."""

    class Connection(UnixHTTPConnection):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            if opened:
                opened(self.sock)

    class Pool(UnixHTTPConnectionPool):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            return Connection(self.base_url, self.socket_path, self.timeout)

    adapter = _OnePool(f"http+unix://{path}", TIMEOUT, max_pool_size=POOL)
    adapter.pools["docker"] = Pool("docker", path, TIMEOUT, maxsize=POOL)
    api = APIClient(base_url=f"unix://{path}", version=version, timeout=TIMEOUT)
    api.get_adapter(api.base_url).close()
    api.mount("http+docker://", adapter)
    return api


@contextmanager
def translated_errors(summary: str) -> Iterator[None]:
    """Raise docker-py's and the transport's errors as a Problem with this summary."""
    try:
        yield
    except APIError as error:
        details = str(error.explanation or error)
        kind = TagVanished if UNTAGGED.search(details) else Problem
        raise kind(summary, details=details) from error
    except (DockerException, RequestException, OSError) as error:
        raise unreachable(error) from error


def unreachable(error: Exception) -> Problem:
    """Docker does not answer: what a user can do about it."""
    text = str(error)
    if "Permission denied" in text:
        hint = "./invoke setup (adds you to group docker), or run as root"
        return Unreachable("Docker's socket is not open to this user", details=text, hint=hint)
    return ConnectionLost("Docker does not answer", details=text, hint="./invoke setup")
