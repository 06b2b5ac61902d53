"""Logging in: the keys that ssh offers are offered, in its order and number, over an sshd of this process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from paramiko import Message, PKey, RSAKey

from slipway.config.models import HostEntry, Hosts
from slipway.errors import Problem, Unreachable, UsageError
from slipway.hosts.ssh import connection
from slipway.hosts.ssh.authentication import AskSecret
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import Sshd, agent, answers, at, configure, connect, hosts, nobody, sealed, serving

NAMES = [f"key{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


def offered_by_ssh(home: Path, server: Sshd) -> list[bytes]:
    """What the real client offers with the same configuration."""
    server.offered.clear()
    argv = ["ssh", "-F", str(home / ".ssh" / "config"), "-o", "BatchMode=yes", "box", "true"]
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
    return _once(server)


def offered_here(server: Sshd, named: Hosts | None = None) -> list[bytes]:
    server.offered.clear()
    with suppress(Unreachable):
        connection.close(connect(named or Hosts(), nobody))
    return _once(server)


def _once(server: Sshd) -> list[bytes]:
    """The keys in order; ssh asks about a key, then signs with it."""
    return list(dict.fromkeys(key.asbytes() for key in server.offered))


@pytest.mark.parametrize("accepted", [3, 6])
@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("IdentityFile {home}/key6",),
        ("IdentityFile {home}/key7.pub", "IdentityFile {home}/key6", "IdentitiesOnly yes"),
        ("IdentityFile {home}/key5", "IdentityFile {home}/key2", "IdentityFile {home}/absent"),
        ("IdentityAgent none", "IdentityFile {home}/key6", "IdentityFile {home}/key5"),
        ("IdentityFile {home}/key6", "IdentityFile {home}/key4", "IdentitiesOnly yes"),
        ("IdentityFile {home}/key0", "CertificateFile {home}/key3-cert.pub"),
        ("IdentityFile {home}/key1",),  # it has a certificate beside it
        ("PubkeyAuthentication no",),
        ("IdentityFile {home}/key6", "PubkeyAcceptedAlgorithms rsa-sha2-256,ssh-ed25519-cert-v01@openssh.com"),
        ("IdentityFile {home}/rsa", "IdentityFile {home}/key6", "RequiredRSASize 4096"),
        ("IdentityFile {home}/rsa", "PubkeyAcceptedAlgorithms -rsa*"),
        ("IdentityFile {home}/key6", "PubkeyAcceptedAlgorithms -*"),
        ("IdentityFile {home}/rsa", "PubkeyAcceptedAlgorithms rsa-sha2-256,ssh-ed25519", "IdentitiesOnly yes"),
    ],
)
def test_the_keys_that_ssh_offers_are_offered_in_its_order(
    home: Path, monkeypatch: pytest.MonkeyPatch, keys: list[PKey], lines: tuple[str, ...], accepted: int
) -> None:
    in_agent = [home / name for name in NAMES if name not in {"key5", "key6"}]
    server = Sshd(key=keys[0], keys=(keys[accepted],), max_auth_tries=6)
    with serving(server), agent(home, monkeypatch, *in_agent):
        configure(home, server, *(line.format(home=home) for line in lines))
        here = offered_here(server)
        assert here == offered_by_ssh(home, server)
        assert bool(here) == (not {"PubkeyAuthentication no", "PubkeyAcceptedAlgorithms -*"} & set(lines))


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in (*NAMES, "authority"):
        sealed(folder / name)
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(folder / "rsa")], check=True)
    for name in ("key1", "key3"):
        sign = ["ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", name, "-n", "deploy", str(folder / name)]
        subprocess.run(sign, check=True, capture_output=True)
    return folder


@pytest.fixture
def keys(home: Path, key_folder: Path) -> list[PKey]:
    shutil.copytree(key_folder, home, dirs_exist_ok=True)
    return [PKey.from_path(str(home / name)) for name in NAMES]


def test_an_encrypted_rsa_key_whose_size_is_seen_only_when_it_is_open_is_not_offered(home: Path) -> None:
    made = [
        "openssl",
        "genrsa",
        "-traditional",
        "-aes128",
        "-passout",
        "pass:secret",
        "-out",
        str(home / "rsa"),
        "2048",
    ]
    subprocess.run(made, check=True, capture_output=True)
    (home / "rsa").chmod(0o600)
    server = Sshd(key=sealed(home / "host"), keys=(RSAKey.from_private_key_file(str(home / "rsa"), "secret"),))
    ask, asked = answers(box="secret")
    with serving(server):
        configure(home, server, f"IdentityFile {home}/rsa", "IdentitiesOnly yes", "RequiredRSASize 3072")
        with pytest.raises(Problem, match="box"):
            connect(Hosts(), ask)
        assert (asked, server.offered) == ([("passphrase", "box")], [])
        configure(home, server, f"IdentityFile {home}/rsa", "IdentitiesOnly yes")
        connection.close(connect(Hosts(), ask))


def test_an_agent_with_many_keys_fails_as_authentication_not_as_a_lost_network(
    home: Path, monkeypatch: pytest.MonkeyPatch, keys: list[PKey]
) -> None:
    server = Sshd(keys=(keys[7],), max_auth_tries=6)
    with serving(server), agent(home, monkeypatch, *(home / name for name in NAMES)):
        configure(home, server)
        with pytest.raises(Problem, match="authentication failed for user deploy: too many attempts") as failed:
            connect(Hosts(), nobody)
        assert "Too many authentication failures" in failed.value.details
        assert "IdentitiesOnly" in failed.value.hint
        assert type(failed.value) is Unreachable


def test_the_agent_signs_for_a_sealed_key_and_no_passphrase_is_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, keys: list[PKey]
) -> None:
    server = Sshd(keys=(keys[7],), max_auth_tries=6)
    with serving(server), agent(home, monkeypatch, *(home / name for name in NAMES)):
        for key in (home / "key7", home / "key7.pub"):
            if key.suffix:
                (home / "key7").unlink()
            else:
                subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)], check=True)
            named = hosts(home, server, box=at(server, key=str(key)))
            assert offered_here(server, named) == [keys[7].asbytes()]
    with serving(server):  # no agent now
        with pytest.raises(Problem, match="a public key, whose private key the SSH agent does not have") as alone:
            connect(hosts(home, server, box=at(server, key=str(home / "key7.pub"))), nobody)
        assert isinstance(alone.value, UsageError)


def logged_in(server: Sshd, ask: AskSecret) -> PKey:
    """The key that was logged in with."""
    server.offered.clear()
    connection.close(connect(Hosts(), ask))
    return server.offered[-1]


def test_an_encrypted_key_is_tried_in_its_turn_and_asked_for_only_where_the_host_accepts_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, keys: list[PKey]
) -> None:
    encrypted = sealed(home / ".ssh" / "id_ed25519", "open sesame")
    server = Sshd(keys=(keys[0],))
    with serving(server):
        configure(home, server, f"IdentityFile {home}/.ssh/id_ed25519", f"IdentityFile {home}/key0")
        ask, asked = answers(box="open sesame")
        assert logged_in(server, ask) == keys[0]  # the other is not the host's
        assert asked == []
        assert server.offered[0] == encrypted
        server.keys = (keys[0], encrypted)
        assert logged_in(server, nobody) == keys[0]  # nobody is there to ask, and ssh goes on then too
        assert logged_in(server, ask) == encrypted
        assert asked == [("passphrase", "box")]
        server.keys = (encrypted,)
        with pytest.raises(UsageError, match="passphrase of box is wanted"):
            connect(Hosts(), nobody)
        server.passwords["box"] = server.passwords["deploy"] = "secret"
        with pytest.raises(UsageError, match="passphrase of box is wanted"):
            connect(Hosts(), nobody)
        monkeypatch.setenv("SLIPWAY_SSH_PASSWORD", "secret")
        ask, asked = answers(box="secret")
        connection.close(connect(Hosts(), ask))
        assert asked == [("password", "box")]
        server.passwords["deploy"] = "open sesame"  # what is given is refused, so that the key's turn comes
        said = iter(["wrong", "open sesame"])
        assert logged_in(server, lambda *_: next(said)) == encrypted


def test_an_encrypted_key_that_hosts_yaml_names_and_a_second_factor_behind_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted = sealed(home / "key", "open sesame")
    server = Sshd(keys=(encrypted,), passwords={"deploy": "secret"}, second_factor=True, methods="publickey")
    with serving(server):
        named = hosts(home, server, box=at(server, key=str(home / "key")))
        monkeypatch.setenv("SLIPWAY_SSH_PASSWORD", "secret")  # which the host takes only behind a key
        said = {"passphrase": "open sesame", "password": "secret"}
        asked: list[str] = []

        def ask(kind: str, host: str) -> str:
            asked.append(kind)
            return said[kind]

        connection.close(connect(named, ask))
        assert asked == ["password", "passphrase"]  # the first is read from the variable
        assert (server.offered, server.tried) == ([encrypted, encrypted], ["secret"])
        server.keys = ()
        server.users.clear()
        asked.clear()
        with pytest.raises(Unreachable, match="authentication failed for user deploy"):
            connect(named, ask)
        assert asked == ["password"]  # a key that the host refuses needs no passphrase


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_key_whose_algorithms_the_host_does_not_know_is_passed_over(
    home: Path, keys: list[PKey], passphrase: str
) -> None:
    rsa = RSAKey.generate(1024)
    rsa.write_private_key_file(str(home / "rsa"), passphrase or None)
    (home / "rsa.pub").write_text(f"{rsa.get_name()} {rsa.get_base64()}\n")
    server = Sshd(keys=(keys[0],), unknown=("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"))
    with serving(server):
        configure(home, server, f"IdentityFile {home}/rsa", f"IdentityFile {home}/key0")
        assert logged_in(server, nobody) == keys[0]


@pytest.mark.parametrize("passphrase", ["open sesame", ""])
def test_ssh_asks_for_the_same_passphrases(home: Path, keys: list[PKey], passphrase: str) -> None:
    encrypted = sealed(home / ".ssh" / "id_ed25519", "open sesame")
    (home / "askpass").write_text(f"#!/bin/sh\necho asked >>{home}/asked\necho '{passphrase}'\n")
    (home / "askpass").chmod(0o755)
    environment = {**os.environ, "SSH_ASKPASS": str(home / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
    for accepted in ((keys[0],), (keys[0], encrypted)):
        server = Sshd(keys=accepted)
        with serving(server):
            configure(home, server, f"IdentityFile {home}/.ssh/id_ed25519", f"IdentityFile {home}/key0")
            ask, asked = answers(box=passphrase)
            ours = logged_in(server, ask if passphrase else nobody)
            (home / "asked").unlink(missing_ok=True)
            server.offered.clear()
            subprocess.run(["ssh", "box", "true"], env=environment, stdin=subprocess.DEVNULL, check=True, timeout=30)
            assert server.offered[-1] == ours
            assert (home / "asked").exists() == (len(accepted) > 1)
            assert bool(asked) == (bool(passphrase) and len(accepted) > 1)


@pytest.mark.parametrize("kind", ["dead", "absent", "mute"])
def test_an_agent_that_can_not_be_asked_is_named_where_authentication_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("slipway.hosts.ssh.agent.AGENT_TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as listener, serving(server := Sshd()):
        if kind != "absent":
            listener.bind(str(home / "agent"))
        if kind == "mute":
            listener.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
        with pytest.raises(Problem, match="no key or password to authenticate user deploy") as failed:
            connect(hosts(home, server, box=at(server)), nobody)
        assert f"the SSH agent at {home}/agent can't be asked" in failed.value.details


def test_a_second_factor_is_given_after_the_key(home: Path, monkeypatch: pytest.MonkeyPatch, keys: list[PKey]) -> None:
    server = Sshd(keys=(keys[0],), passwords={"deploy": "secret"}, second_factor=True)
    monkeypatch.setenv("SLIPWAY_SSH_PASSWORD", "secret")
    with serving(server):
        configure(home, server, f"IdentityFile {home}/key0")
        connection.close(connect(Hosts(), answers(box="secret")[0]))
    assert server.tried == ["secret"]


def test_a_user_and_a_port_of_hosts_yaml_win(home: Path, keys: list[PKey]) -> None:
    server = Sshd(keys=(keys[0],))
    with serving(server):
        configure(home, server, f"IdentityFile {home}/key0")
        entry = HostEntry(address="box", user="admin", port=server.port)
        connection.close(connect(Hosts(hosts={"box": entry}), nobody))
    assert server.users == ["admin"]


def test_an_agent_that_lists_a_key_and_never_signs_holds_nobody_up(
    home: Path, monkeypatch: pytest.MonkeyPatch, keys: list[PKey]
) -> None:
    monkeypatch.setattr("slipway.hosts.ssh.agent.SIGN_TIMEOUT", 0.3)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "silent"))
    listed = Message()
    listed.add_byte(b"\x0c")  # SSH_AGENT_IDENTITIES_ANSWER
    listed.add_int(1)
    listed.add_string(keys[0].asbytes())
    listed.add_string("a key")
    answer = listed.asbytes()
    server = Sshd(keys=(keys[0],))
    with socket.socket(socket.AF_UNIX) as listener, serving(server):
        listener.bind(str(home / "silent"))
        listener.listen()
        Thread(target=_list_only, args=(listener, len(answer).to_bytes(4, "big") + answer), daemon=True).start()
        configure(home, server)
        with pytest.raises(Unreachable, match="authentication failed for user deploy") as failed:
            connect(Hosts(), nobody)
        assert "the SSH agent did not sign within 0.3 s" in failed.value.details


def _list_only(listener: socket.socket, answer: bytes) -> None:
    asked = listener.accept()[0]
    asked.recv(100)
    asked.sendall(answer)
    while asked.recv(1000):  # the request to sign, which gets no answer
        pass
