"""What Docker is asked to create, and what docker-py returns for a container."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from slipway.docker import connection
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.containers import parse_container
from slipway.docker.daemon import DockerDaemon
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from tests.unit.docker.handler import Handler

PORT = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19002"}]}


@pytest.mark.parametrize(
    ("state", "ports"),  # as Docker 20.10 says them: NetworkSettings.Ports is empty whenever there is no process
    [
        ({"Status": "running", "Running": True}, PORT),
        ({"Status": "paused", "Running": True, "Paused": True}, PORT),
        ({"Status": "restarting", "Running": True, "Restarting": True}, {}),
        ({"Status": "exited", "Running": False}, {}),
    ],
)
def test_a_container_publishes_what_it_was_created_with_in_every_state(state: dict[str, Any], ports: Any) -> None:
    found = parse_container(
        {
            "Id": "c",
            "Name": "/wk_web_01",
            "Image": "sha256:1",
            "Config": {"Labels": None, "Env": None},
            "HostConfig": {"PortBindings": PORT},
            "NetworkSettings": {"Ports": ports, "Networks": {}},
            "State": state,
        }
    )
    assert (found.state, found.ports) == (state["Status"], {8080: ("127.0.0.1", 19002)})
    assert found.active == state["Running"]


TAGS = {"hh/auth:src-1": "sha256:1", "hh/auth:src-2": "sha256:2"}


class Creator(Handler, BaseHTTPRequestHandler):
    """A daemon that creates nothing, and keeps what it was asked for."""

    driver = "json-file"

    def do_GET(self) -> None:
        for tag, image in TAGS.items():
            if self.path.endswith(f"/images/{tag}/json"):
                return self.send_body(b'{"Id": "%s"}' % image.encode())
        if "/images/" in self.path:
            return self.send_body(b'{"message": "No such image: x"}', 404)
        return self.send_body(b'{"ApiVersion": "1.43", "LoggingDriver": "%s"}' % self.driver.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.created.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_body(b'{"Id": "c"}')


@pytest.fixture
def created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(connection, "SOCKET", path)
    with socketserver.ThreadingUnixStreamServer(path, Creator) as server:
        server.daemon_threads = True
        server.created = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.created  # type: ignore[attr-defined]
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("hh/auth:src-1", "hh/auth:src-1"),
        ("hh/auth:src-2", "sha256:1"),
        ("hh/auth:src-3", "sha256:1"),
        ("", "sha256:1"),
    ],
    ids=["its tag", "another image's by now", "gone", "none"],
)
def test_a_container_is_created_from_a_tag_as_long_as_that_is_its_images(
    created: list[dict[str, Any]], name: str, asked: str
) -> None:
    with ExitStack() as closing:
        daemon = DockerDaemon(FakeHost("here", Facts("Linux", "x86_64")), closing)
        daemon.containers.create(ContainerSpec("hh_auth_01", "sha256:1", image_name=name))
    assert [one["Image"] for one in created] == [asked]


def test_a_container_writes_to_its_tmp_alone_and_may_run_what_it_unpacks_there(created: list[dict[str, Any]]) -> None:
    with ExitStack() as closing:
        daemon = DockerDaemon(FakeHost("here", Facts("Linux", "x86_64")), closing)
        assert daemon.containers.create(ContainerSpec("hh_auth_01", "hh/auth:0.0.1")) == "c"
    [asked] = created
    options = asked["HostConfig"]["Tmpfs"]["/tmp"].split(",")
    assert {"exec", "nosuid", "nodev", "mode=1777"} <= set(options)
    assert "noexec" not in options
    assert asked["HostConfig"]["ReadonlyRootfs"]
    assert asked["HostConfig"]["CapDrop"] == ["ALL"]


@pytest.mark.parametrize(("driver", "size"), [("json-file", "10m"), ("journald", None)])
def test_a_log_is_rotated_where_docker_does_not_do_it_by_itself(
    created: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, driver: str, size: str | None
) -> None:
    monkeypatch.setattr(Creator, "driver", driver)
    with ExitStack() as closing:
        daemon = DockerDaemon(FakeHost("here", Facts("Linux", "x86_64")), closing)
        daemon.containers.create(ContainerSpec("hh_auth_01", "hh/auth:0.0.1"))
    [asked] = created
    config = asked["HostConfig"].get("LogConfig")
    assert (config and config["Config"]["max-size"]) == size
