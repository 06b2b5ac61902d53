"""Keys of a PKCS#11 token (SoftHSM's) log in without the user's agent, offered as ssh offers them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from paramiko import Message, PKey

from slipway.config.models import HostEntry, Hosts
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import null_reporter
from slipway.errors import Cancelled, Unreachable, UsageError
from slipway.hosts.ssh import connection, private_agent
from slipway.hosts.ssh.private_keys import public_line
from tests.integration.ssh_login import noted_agents, offered_by_ssh, offered_here, once, temporary_folder
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import (
    Sshd,
    agent,
    answers,
    configure,
    connect,
    nobody,
    sealed,
    serving,
)

PIN = "1234"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib/pkcs11/libsofthsm2.so")


@dataclass(frozen=True)
class Token:
    """A PKCS#11 module, and what `ssh-keygen -D` prints of each key behind it."""

    module: str
    lines: tuple[str, ...]

    @property
    def keys(self) -> tuple[PKey, ...]:
        blobs = [public_line(line.encode()) or b"" for line in self.lines]
        return tuple(PKey.from_type_string(Message(blob).get_text(), blob) for blob in blobs)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """A token with an ECDSA and an RSA key; without SoftHSM and OpenSC there is none."""
    module = next(filter(os.path.exists, MODULES), "")
    if not (module and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool")):
        pytest.skip("softhsm2 or opensc is not installed")
    with pytest.MonkeyPatch.context() as patch:
        initialize(tmp_path_factory.mktemp("token"), patch)
        for number, kind in enumerate(("EC:prime256v1", "rsa:2048"), 1):
            generate(module, "--id", f"0{number}", "--label", kind, "--key-type", kind)
        yield Token(module, tuple(subprocess.check_output(["ssh-keygen", "-D", module], text=True).splitlines()))


def initialize(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an empty token the only one."""
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    made = ("softhsm2-util", "--init-token", "--free", "--label", "test", "--pin", PIN, "--so-pin", "12345678")
    subprocess.run(made, check=True, capture_output=True)


def generate(module: str, *words: str) -> None:
    """Make a key pair on the token."""
    make = ("pkcs11-tool", "--module", module, "--login", "--pin", PIN, "--keypairgen", *words)
    subprocess.run(make, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, token: Token, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = sshd.home(tmp_path, monkeypatch)
    private_agent._refused_pins.clear()
    for name in ("key0", "key1", "authority"):
        sealed(folder / name)
    (folder / "token.pub").write_text(f"{token.lines[1]}\n")
    sign = ("ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "me", "-n", "deploy", str(folder / "token.pub"))
    subprocess.run(sign, check=True, capture_output=True)
    (folder / "token-cert.pub").rename(folder / "certificate.pub")
    return folder


@pytest.fixture
def temporary(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with temporary_folder(monkeypatch) as folder:
        yield folder


@pytest.mark.parametrize(("accepted", "with_agent"), [("none", True), ("token 1", False)])
@pytest.mark.parametrize(
    "lines",
    [
        ("PKCS11Provider {module}", "IdentityFile {home}/key0"),
        ("PKCS11Provider {module}", "IdentityFile {home}/key0", "IdentityFile {home}/token.pub"),
        ("PKCS11Provider {module}", "IdentityFile {home}/key0", "IdentityFile {home}/token.pub", "IdentitiesOnly yes"),
        ("PKCS11Provider {module}", "IdentityFile {home}/key0", "IdentitiesOnly yes"),
        ("PKCS11Provider {module}", "IdentityFile {home}/key0", "CertificateFile {home}/certificate.pub"),
        ("PKCS11Provider {module}", "IdentityFile {home}/key0", "PubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512"),
        ("PKCS11Provider {home}/absent.so", "IdentityFile {home}/key0"),
        ("PKCS11Provider /etc/passwd", "IdentityFile {home}/key0"),
        ("PKCS11Provider none", "IdentityFile {home}/key0"),
    ],
)
@pytest.mark.usefixtures("temporary")
def test_a_tokens_keys_are_offered_in_sshs_order(
    home: Path,
    token: Token,
    monkeypatch: pytest.MonkeyPatch,
    lines: tuple[str, ...],
    accepted: str,
    with_agent: bool,
) -> None:
    server = Sshd(keys=token.keys[1:] if accepted == "token 1" else (sshd.KEY,))
    with serving(server), agent(home, monkeypatch, home / "key1"):
        if not with_agent:
            monkeypatch.delenv("SSH_AUTH_SOCK")
        configure(home, server, *(line.format(home=home, module=token.module) for line in lines))
        here = offered_here(server, answers(box=PIN)[0])
        assert here == offered_by_ssh(home, server, PIN)
        assert here[0]


def test_the_pin_is_asked_for_where_the_host_accepts_the_key_and_only_then(
    home: Path, token: Token, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Sshd(keys=(sshd.KEY,))
    with serving(server):
        configure(home, server, f"PKCS11Provider {token.module}")
        ask, asked = answers(box=PIN)
        with pytest.raises(Unreachable, match="authentication failed for user deploy"):
            connect(Hosts(), ask)
        assert (asked, list(temporary.iterdir())) == ([], [])
        server.keys = token.keys
        connection.close(connect(Hosts(), ask))
        assert asked == [("pin", "box")]
        with pytest.raises(UsageError, match="pin of box is wanted"):
            connect(Hosts(), nobody)
        server.passwords["deploy"] = "secret"
        monkeypatch.setenv("SLIPWAY_SSH_PASSWORD", "secret")  # which may do without a PIN
        asked.clear()
        connection.close(connect(Hosts(), answers(box="secret")[0]))
        assert server.tried == ["secret"]
        monkeypatch.setenv("SLIPWAY_SSH_PIN", PIN)
        said = {"password": "secret", "pin": PIN}
        connection.close(connect(Hosts(), lambda kind, _: said[kind]))
        assert server.tried == ["secret"]


def test_a_token_that_shows_its_keys_only_for_the_pin_is_asked_with_it_as_by_ssh(
    home: Path, token: Token, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    (home / "hidden").mkdir()
    initialize(home / "hidden", monkeypatch)
    generate(token.module, "--id", "01", "--label", "hidden", "--key-type", "EC:prime256v1", "--private")
    server = Sshd()
    with serving(server):
        configure(home, server, f"PKCS11Provider {token.module}")
        ask, asked = answers(box=PIN)
        refused, _ = offered_here(server, ask)
        assert (refused, False) == offered_by_ssh(home, server, PIN)
        server.keys = (server.offered[0],)
        asked.clear()
        assert offered_here(server, ask) == ([server.keys[0].asbytes()], True) == offered_by_ssh(home, server, PIN)
        assert asked == [("pin", "box")]
        with pytest.raises(UsageError, match="could not be unlocked"):
            connect(Hosts(), answers(box="4321")[0])


def test_a_wrong_pin_is_told_and_given_to_the_token_only_once(home: Path, token: Token, temporary: Path) -> None:
    server = Sshd(keys=token.keys)
    with serving(server):
        configure(home, server, f"PKCS11Provider {token.module}")
        for said in ("agent refused operation", "it was refused before", "it was refused before"):
            with pytest.raises(UsageError, match=f"{token.module} could not be unlocked") as failed:
                connect(Hosts(), answers(box="4321")[0])
            assert said in failed.value.details
            assert "SLIPWAY_SSH_PIN_BOX for this host alone" in failed.value.hint
        connection.close(connect(Hosts(), answers(box=PIN)[0]))


def test_a_module_that_can_not_be_used_is_named_where_the_login_fails(home: Path, temporary: Path) -> None:
    server = Sshd(keys=(sshd.KEY,))
    with serving(server):
        configure(home, server, f"PKCS11Provider {home}/absent.so", f"IdentityFile {home}/key0")
        with pytest.raises(Unreachable, match="authentication failed") as failed:
            connect(Hosts(), nobody)
        assert f"provider {home}/absent.so is not a PKCS11 library" in failed.value.details


def test_a_key_that_the_users_agent_has_starts_no_other_agent(
    home: Path, token: Token, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    server = Sshd(keys=token.keys[:1])
    with serving(server), agent(home, monkeypatch):
        (home / "askpass").write_text(f"#!/bin/sh\necho {PIN}\n")
        (home / "askpass").chmod(0o755)
        environment = {**os.environ, "SSH_ASKPASS": str(home / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        subprocess.run(["ssh-add", "-s", token.module], env=environment, check=True, capture_output=True)
        configure(home, server, f"PKCS11Provider {token.module}")
        started = noted_agents(home)
        connection.close(connect(Hosts(), nobody))
        assert not started.exists()
        assert once(server) == [token.keys[0].asbytes()]


def test_the_key_of_hosts_yaml_may_be_on_a_token(home: Path, token: Token, temporary: Path) -> None:
    server = Sshd(keys=token.keys)
    with serving(server):
        configure(home, server, f"PKCS11Provider {token.module}", f"IdentityFile {home}/key0")
        entry = HostEntry(address="box", key=str(home / "token.pub"))
        connection.close(connect(Hosts(hosts={"box": entry}), answers(box=PIN)[0]))
        assert once(server) == [token.keys[1].asbytes()]


def test_a_module_is_not_asked_where_hosts_yaml_names_a_private_key_file(home: Path, temporary: Path) -> None:
    server = Sshd(keys=(sshd.KEY,))
    with serving(server):
        configure(home, server, f"PKCS11Provider {home}/absent.so")
        entry = HostEntry(address="box", key=str(home / "key0"))
        with pytest.raises(Unreachable, match="authentication failed") as failed:
            connect(Hosts(hosts={"box": entry}), nobody)
        assert "absent.so" not in failed.value.details


def test_ctrl_c_ends_the_agent_and_what_it_started(home: Path, token: Token, temporary: Path) -> None:
    cancel, asking = Cancel(), threading.Event()

    def ask(kind: str, host: str) -> str:
        asking.set()
        cancel.request()
        return PIN

    server = Sshd(keys=token.keys)
    with serving(server):
        configure(home, server, f"PKCS11Provider {token.module}")
        with pytest.raises(Cancelled):
            connect(Hosts(), ask, null_reporter(cancel))
    assert asking.is_set()


def test_no_secret_is_on_a_command_line_or_in_a_variable_of_a_program(
    home: Path, token: Token, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = home / "seen"
    for name in ("ssh-add", "ssh-agent"):
        program = home / "bin" / name
        program.write_text(f'#!/bin/sh\n{{ echo "{name} $*"; env; }} >>{seen}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    pin = "1234"
    server = Sshd(keys=token.keys)
    with serving(server):
        configure(home, server, f"PKCS11Provider {token.module}")
        connection.close(connect(Hosts(), answers(box=pin)[0]))
    text = seen.read_text()
    assert f"ssh-add -s {token.module}" in text
    assert not re.search(rf"(?<!\d){pin}(?!\d)", text)
