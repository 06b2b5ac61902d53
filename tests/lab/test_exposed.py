"""A server that answers the world: names, certificates, and what stays closed."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.lab.load import Load, plain
from tests.lab.pebble import Pebble
from tests.lab.test_a_server import Server, assert_closed_outside, bare_host_set_up

pytestmark = pytest.mark.lab
NAME, OTHER, THIRD = "api.example.org", "more.example.org", "third.example.org"


class Named(HTTPAdapter):
    """Asks an address as if DNS had given it for a name."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *words: Any, **settings: Any) -> None:
        super().init_poolmanager(*words, **settings, server_hostname=self._name, assert_hostname=self._name)


def session(root: Path, name: str = NAME) -> requests.Session:
    """A session that believes one authority, and asks for a name."""
    made = plain()
    made.mount("https://", Named(name))
    made.headers["Host"], made.verify = name, str(root)
    return made


class Exposed(Server):
    """A server whose toy the world reaches by name."""

    def expose(self, pebble: Pebble, **changes: Any) -> None:
        """Write the environment."""
        how = {"host": NAME, **changes}
        acme = {"email": "ops@example.org", "ca": pebble.directory, "root": str(pebble.folder / "own.pem")}
        data = {"docker": "h1", "acme": acme, "services": {"toy": {"expose": how}}}
        (self.folder / "settings" / "environments" / "server.yaml").write_text(json.dumps(data))

    @property
    def address(self) -> str:
        return str(self.hosts[0].address)


@pytest.fixture(scope="module")
def pebble(server: Exposed, tmp_path_factory: pytest.TempPathFactory) -> Pebble:
    made = Pebble(server.hosts[0], tmp_path_factory.mktemp("pebble") / "files", (NAME, OTHER))
    made.start()
    return made


@pytest.fixture(scope="module")
def server(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    """A server without a service."""
    with bare_host_set_up(Exposed, bundled, tmp_path_factory.mktemp("exposed")) as server:
        yield server


@pytest.fixture(scope="module")
def root(server: Exposed, pebble: Pebble) -> Path:
    """The service deployed and exposed; the root that its certificate is signed below."""
    server.expose(pebble)
    done = server.invoke("deploy", "--output", "json", timeout=400)
    assert done.exit == 0, done.out + done.err
    assert f"{NAME} has no address; h1 has {server.address}" in done.out  # in this machine's DNS
    found = pebble.root()
    awaited_answer(server, session(found))
    return found


def awaited_answer(server: Exposed, asking: requests.Session) -> requests.Response:
    """Its first answer by name, once the authority has given a certificate."""
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = asking.get(f"https://{server.address}/", timeout=5)
            answer.raise_for_status()
        except requests.RequestException as error:
            if time.monotonic() > deadline:
                raise AssertionError("it does not answer") from error
            time.sleep(0.5)
        else:
            return answer


def test_a_port_that_is_taken_is_told_before_anything_is_changed(server: Exposed, pebble: Pebble) -> None:
    server.expose(pebble)
    machine = server.hosts[0].machine
    machine.run("systemd-run --unit=squat systemd-socket-activate -l 443 /bin/cat")
    try:
        done = server.invoke("deploy")
        assert (done.exit, "port 443 of h1 is taken" in done.out) == (4, True), done.out + done.err
        assert not server.docker("ps", "-aq", "--filter", f"label=slipway.project={server.name}")
    finally:
        machine.run("systemctl stop squat")


def test_the_world_reaches_it_by_name_and_nothing_else(server: Exposed, root: Path) -> None:
    assert session(root).get(f"https://{server.address}/", timeout=5).text.startswith("hello from")
    moved = plain().get(f"http://{server.address}/x", headers={"Host": NAME}, allow_redirects=False, timeout=5)
    assert (moved.status_code, moved.headers["Location"]) == (308, f"https://{NAME}/x")
    context = ssl.create_default_context(cafile=str(root))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((server.address, 443)) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
        assert tls.selected_alpn_protocol() == "h2"
    edge = server.container.replace("_toy_01", "_edge")
    for port in (2019, 8080):  # Caddy's administration, and the service itself
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((server.address, port), timeout=3)
    assert server.docker("inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}}", edge)[0] == "true"


def test_the_service_is_told_who_asks_and_believes_nobody_else(server: Exposed, root: Path) -> None:
    with socket.create_connection((server.address, 443)) as own:
        mine = own.getsockname()[0]
    for headers in ({}, {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "http"}):
        answer = session(root).get(f"https://{server.address}/client", headers=headers, timeout=5)
        assert answer.text.split() == [mine, "https"]


def test_a_stream_comes_as_it_is_sent(server: Exposed, root: Path) -> None:
    with session(root).get(f"https://{server.address}/download?seconds=3", stream=True, timeout=5) as answer:
        came = [time.monotonic() for _ in answer.iter_lines()]
    assert (len(came), came[-1] - came[0] > 2) == (30, True)


def test_a_websocket_passes(server: Exposed, root: Path) -> None:
    context = ssl.create_default_context(cafile=str(root))
    words = ("Host: " + NAME, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with socket.create_connection((server.address, 443)) as raw, context.wrap_socket(raw, server_hostname=NAME) as tls:
        tls.settimeout(10)
        tls.sendall("\r\n".join(("GET /echo HTTP/1.1", *words, key, "", "")).encode())
        answer = tls.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455, 1.3
        tls.sendall(b"not a frame, but nobody in between reads one")
        assert tls.recv(4096) == b"not a frame, but nobody in between reads one"


def test_a_second_deploy_finds_nothing_to_do(server: Exposed, root: Path) -> None:
    again = server.invoke("deploy", "--output", "json")
    assert (again.exit, set(again.steps.values())) == (0, {"unchanged"}), again.out


def test_a_release_under_load_loses_no_request(server: Exposed, root: Path) -> None:
    with Load(f"https://{server.address}/", rate=50, session=partial(session, root)) as load:
        server.write(note="in public", env={"VERSION": "in public"})
        done = server.invoke("deploy", "--output", "json")
        load.more(1)
    assert done.exit == 0, done.out
    assert (load.failures, "in public" in load.last) == ([], True)


MOMENTS = [0.85, *(pytest.param(round(0.09 * n, 2), marks=pytest.mark.long) for n in range(1, 11))]


@pytest.mark.parametrize("part", MOMENTS)
def test_a_killed_deploy_is_finished_by_the_next_and_the_world_is_answered(
    server: Exposed, root: Path, part: float
) -> None:
    with Load(f"https://{server.address}/", rate=50, session=partial(session, root)) as load:
        moment, alive = server.kill_one(part, attempts=5)
        assert alive, f"it was over after {moment} s each time"
        load.more(1)
        done = server.deploy()
        load.more(1)
    assert done.exit == 0, done.out
    assert load.failures == []
    assert server.deploy("--plan").exit == 0


def test_two_deploys_at_once_come_one_after_the_other(server: Exposed, root: Path) -> None:
    with Load(f"https://{server.address}/", rate=50, session=partial(session, root)) as load:
        server.write(note="at once", env={"VERSION": "at once"})
        both = [server.start("deploy") for _ in range(2)]
        said = [one.communicate(timeout=200)[0] for one in both]
        load.more(1)
    assert [one.returncode for one in both] == [0, 0], said
    assert (load.failures, "at once" in load.last) == ([], True)
    assert server.deploy("--plan").exit == 0


def test_behind_a_restart_of_docker_it_answers_by_itself(server: Exposed, root: Path) -> None:
    assert server.hosts[0].machine.run("systemctl restart docker").returncode == 0
    awaited_answer(server, session(root))
    assert server.deploy("--plan").exit == 0


def test_a_path_and_another_name_are_exposed_and_taken_back(server: Exposed, root: Path, pebble: Pebble) -> None:
    server.expose(pebble, host=OTHER, path="/log")
    assert server.invoke("deploy", "--output", "json").exit == 0
    asking = session(root, OTHER)
    deadline = time.monotonic() + 60
    while True:
        try:
            codes = [
                asking.get(f"https://{server.address}{path}", timeout=5).status_code
                for path in ("/log/x", "/", "/logs")
            ]
            break
        except requests.RequestException as error:
            if time.monotonic() > deadline:
                raise AssertionError("it does not answer") from error
            time.sleep(0.5)
    assert codes == [200, 404, 404]
    server.expose(pebble)
    assert server.invoke("deploy", "--output", "json").exit == 0
    awaited_answer(server, session(root))


def test_a_certificate_is_a_file_or_the_edges_own(server: Exposed, root: Path, pebble: Pebble, tmp_path: Path) -> None:
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    files = {"cert": str(cert), "key": str(key)}
    server.expose(pebble, host=OTHER, tls=files)
    done = server.invoke("deploy")
    assert (done.exit, f"{cert} can't be read as a PEM file" in done.out) == (2, True), done.out
    assert session(root).get(f"https://{server.address}/", timeout=5).ok, "what answered goes on"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={OTHER}"]
    words += ["-addext", f"subjectAltName=DNS:{OTHER}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(words, check=True, capture_output=True)
    done = server.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    awaited_answer(server, session(cert, OTHER))
    assert key.read_text().splitlines()[1] not in done.out

    server.expose(pebble, host=OTHER, tls="internal")
    assert server.invoke("deploy", "--output", "json").exit == 0
    deadline = time.monotonic() + 20
    while (found := certificate(server, OTHER)) in {"", cert.read_text().split("-----")[2].strip()}:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    server.expose(pebble)
    assert server.invoke("deploy", "--output", "json").exit == 0
    awaited_answer(server, session(root))


def test_a_certificate_whose_life_ends_is_renewed(server: Exposed, root: Path, pebble: Pebble, tmp_path: Path) -> None:
    """Caddy looks every ten minutes, and when it starts: with a life of a minute, that is what renews it here."""
    hasty = Pebble(server.hosts[0], tmp_path / "files", (THIRD,), seconds=60, port=14010)
    hasty.start()
    server.expose(hasty, host=THIRD)
    assert server.invoke("deploy", "--output", "json").exit == 0
    awaited_answer(server, session(hasty.root(), THIRD))
    first = certificate(server, THIRD)
    time.sleep(45)  # two thirds of its life, behind which it is renewed
    server.docker("restart", server.container.replace("_toy_01", "_edge"))
    deadline = time.monotonic() + 60
    while certificate(server, THIRD) in {"", first}:
        assert time.monotonic() < deadline, "it is not renewed"
        time.sleep(0.5)
    assert session(hasty.root(), THIRD).get(f"https://{server.address}/", timeout=5).ok
    server.expose(pebble)
    assert server.invoke("deploy", "--output", "json").exit == 0


def test_behind_a_reboot_it_answers_by_itself(server: Exposed, root: Path) -> None:
    before = certificate(server)
    subprocess.run(["docker", "restart", server.hosts[0].machine.name], check=True, capture_output=True)
    awaited_answer(server, session(root))
    assert certificate(server) == before
    assert server.deploy("--plan").exit == 0


def test_certificates_outlive_down_and_not_purge(server: Exposed, root: Path) -> None:
    before = certificate(server)
    assert server.invoke("down").exit == 0
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((server.address, 443), timeout=3)
    assert server.invoke("deploy", "--output", "json").exit == 0
    awaited_answer(server, session(root))
    assert certificate(server) == before
    assert_closed_outside(server, public=(80, 443))
    assert server.invoke("down", "--purge").exit == 0
    assert not server.docker("volume", "ls", "-q", "--filter", f"label=slipway.project={server.name}")


def certificate(server: Exposed, name: str = NAME) -> str:
    """The certificate that it shows for a name, as PEM; empty where it shows none."""
    words = ["openssl", "s_client", "-connect", f"{server.address}:443", "-servername", name]
    done = subprocess.run(words, input="", capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0].strip()
