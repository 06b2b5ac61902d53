"""known_hosts, against the real ssh: a host is accepted where that accepts it; lines that it skips stop nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko import RSAKey

from slipway.config.models import Hosts
from slipway.config.ssh_destination import Destination
from slipway.hosts.ssh import connection, known_hosts, ssh_config
from slipway.hosts.ssh.known_hosts import KeyStatus
from slipway.hosts.ssh.ssh_config import SshConfig
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import KEY, Sshd, at, connect, hosts, nobody, sealed, serving, ssh

OTHER = RSAKey.generate(1024)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


names = st.sampled_from(
    ["{name}", "{name},x", "127.0.0.1", "[127.0.0.?]:*", "*", "!{name}", "*,!{name}", "[127.0.0.1]:1"]
)
keys = st.sampled_from([KEY, KEY, OTHER]).map(lambda key: f"{key.get_name()} {key.get_base64()}")
broken = st.sampled_from(
    [
        "",
        "# {name} x",
        "one-word",
        "<<<<<<< HEAD",
        "{name} 1024 35 1234",
        "{name} ssh-rsa AAAA",
        "{name} ssh-rsa\tx",
        "\0\0",
    ]
)
lines = st.one_of(
    broken,
    st.tuples(st.sampled_from(["", "", "", "@revoked ", "@cert-authority ", "@what ", "\t"]), names, keys).map(
        lambda made: f"{made[0]}{made[1]} {made[2]} a comment"
    ),
)


@settings(
    max_examples=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.lists(lines, max_size=4))
def test_a_host_key_is_accepted_where_ssh_accepts_it(server: Sshd, home: Path, made: list[str]) -> None:
    file, name = home / "known", f"[127.0.0.1]:{server.port}"
    file.write_text("".join(f"{line}\n" for line in made).replace("{name}", name))
    config = SshConfig("box", "127.0.0.1", "deploy", server.port)
    status = known_hosts.read(config, Hosts(known_hosts=str(file)), lambda _: None).status(KEY.asbytes())
    assert (status is KeyStatus.KNOWN) == (ssh(server, home / "key", UserKnownHostsFile=file).returncode == 0)


@pytest.fixture
def server(home: Path) -> Iterator[Sshd]:
    made = Sshd(keys=(sealed(home / "key"),))
    with serving(made):
        yield made


def test_lines_that_ssh_skips_are_named_once_and_stop_nothing(home: Path, server: Sshd) -> None:
    named, notes = hosts(home, server, box=at(server, key=str(home / "key"))), list[str]()
    file = Path(str(named.known_hosts))
    good, wrapped = file.read_text(), f"box {KEY.get_name()} {KEY.get_base64()[:70]}\n{KEY.get_base64()[70:]}\n"
    file.write_text(f"# a comment\nbox 1024 35 1234\n<<<<<<< HEAD\n{wrapped}{good}\0\0\0\ngetaddrinfo box: failed\n")
    for _ in range(2):
        connection.close(connect(named, nobody, note=notes.append))
    assert notes == [f"{file}: skipped line 2, 3, 4, 5, 8, which ssh ignores: not a host key"]


def test_the_files_and_the_alias_of_the_configuration_are_used(home: Path, server: Sshd) -> None:
    key = server.known().partition(" ")[2]
    (home / "two").write_text(f"|1|x\nalias.example {key}")
    (home / ".ssh" / "config").write_text(
        f"Host box\n HostName 127.0.0.1\n Port {server.port}\n User deploy\n IdentityFile {home}/key\n"
        f" HostKeyAlias Alias.example\n UserKnownHostsFile {home}/one {home}/two\n"
    )
    connection.close(connect(Hosts(), nobody))
    config = ssh_config.read(Destination("box"))
    assert known_hosts.files(config, Hosts())[:2] == [home / "one", home / "two"]
    assert known_hosts.read(config, Hosts(), lambda _: None).lookup_name == "alias.example"


@pytest.mark.parametrize("value", ["none", "/dev/null"])
def test_verification_that_is_turned_off_uses_the_users_own_file(home: Path, server: Sshd, value: str) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host box\n HostName 127.0.0.1\n Port {server.port}\n IdentityFile {home}/key\n"
        f" UserKnownHostsFile {value}\n StrictHostKeyChecking no\n"
    )
    config = ssh_config.read(Destination("box"))
    assert known_hosts.files(config, Hosts())[0] == home / ".ssh" / "known_hosts"
    assert known_hosts.read(config, Hosts(), lambda _: None).status(KEY.asbytes()) is KeyStatus.UNKNOWN
    (home / ".ssh" / "known_hosts").write_text(server.known())
    connection.close(connect(Hosts(), nobody))
