"""The host keys that are negotiated and taken, against the real ssh."""

from __future__ import annotations

import base64
import re
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko import ECDSAKey, Ed25519Key, Message, PKey, RSAKey, SSHException

from slipway.config.models import Hosts
from slipway.errors import HostUnreachable, Problem, Unreachable
from slipway.hosts.ssh import connection
from slipway.hosts.ssh.host_key import packed
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import KEY, CertifiedKey, Sshd, configure, connect, nobody, sealed, serving

ECDSA = ECDSAKey.generate()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


def ssh() -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-v", "-o", "BatchMode=yes", "box", "true"]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)


ALGORITHMS = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
]
algorithms = st.one_of(
    st.just(""),
    st.lists(st.sampled_from(ALGORITHMS), min_size=1, unique=True).map(",".join),
    st.tuples(st.sampled_from("+-^"), st.sampled_from([*ALGORITHMS, "ssh-*", "*cert*"])).map("".join),
)
known = st.lists(
    st.sampled_from(
        [
            *("{place} {rsa}", "{place} {ecdsa}", "{place} {ed25519}", "{place} {wrong}", "{place} {broken}"),
            *("@cert-authority * {ca}", "@revoked * {ecdsa}", "@revoked * {wrong}"),
        ]
    ),
    max_size=4,
    unique=True,
)


@settings(
    max_examples=25, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(algorithms, known)
def test_the_host_key_that_ssh_agrees_on_is_agreed_on(
    home: Path, servers: tuple[Sshd, dict[str, str]], wanted: str, made: list[str]
) -> None:
    server, keys = servers
    configure(home, server, f"IdentityFile {home}/key", *([f"HostKeyAlgorithms {wanted}"] if wanted else []))
    lines = "".join(f"{line}\n" for line in made)
    (home / "known_hosts").write_text(lines.format(place=f"[127.0.0.1]:{server.port}", **keys))
    theirs, listed = ssh(), wanted[:1] not in {"", "+", "-"}
    try:
        opened = connect(Hosts(), nobody)
    except Problem:
        assert theirs.returncode == 255, (wanted, lines)
    else:
        agreed: Any = opened.transport
        connection.close(opened)
        if listed and theirs.returncode:  # ssh does not prefer keys on record then, and `ssh -G` does not say so
            assert agreed.host_key_type in (wanted.split(",") if wanted[0] != "^" else ALGORITHMS)
            return
        found = re.search(r"kex: host key algorithm: (\S+)", theirs.stderr)
        assert found
        assert theirs.returncode == 0, (wanted, lines)
        assert listed or found[1] == agreed.host_key_type, (wanted, lines)


@pytest.fixture
def servers(home: Path) -> Any:
    """A host with keys of three types, one of them with a certificate too, and those that known_hosts may have."""
    for name in ("host", "ca", "other"):
        sealed(home / name)
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(home / "ca"), "-I", "x", "-h", "-n", "127.0.0.1", str(home / "host.pub")],
        check=True,
    )
    more = (Ed25519Key(filename=str(home / "host")), ECDSA, CertifiedKey(home / "host"))
    server = Sshd(keys=(sealed(home / "key"),), more_keys=more)
    keys = {"rsa": f"ssh-rsa {KEY.get_base64()}", "ecdsa": f"{ECDSA.get_name()} {ECDSA.get_base64()}"}
    keys["broken"] = f"ssh-ed25519 {base64.b64encode(packed('ssh-ed25519', b'x' * 31)).decode()}"
    for name, file in (("ed25519", "host"), ("ca", "ca"), ("wrong", "other")):
        keys[name] = (home / f"{file}.pub").read_text().strip()
    with serving(server):
        yield server, keys


class Presented(RSAKey):
    """A key of this type that presents other bytes as its public half, or signs by itself."""

    def __init__(self, kind: str, blob: bytes, key: PKey = ECDSA, algorithm: str = "", signature: bytes = b"") -> None:
        self.kind, self.blob, self.signature = kind, blob, signature
        self.key_that_signs, self.algorithm = key, algorithm

    def get_name(self) -> str:
        return self.kind

    def asbytes(self) -> bytes:
        return self.blob

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Message:
        signed = self.key_that_signs.sign_ssh_data(data, self.algorithm or algorithm)
        return Message(self.signature) if self.signature else signed


POINT = ECDSA.asbytes()[-64:]
COMPRESSED = packed("ecdsa-sha2-nistp256", "nistp256", bytes([2 + POINT[-1] % 2]) + POINT[:32])
NEGATIVE = packed("ssh-rsa", b"\x01\x00\x01", b"\x81" + bytes(128))
MALFORMED = {
    "a key that is too short": (
        Presented("ssh-ed25519", packed("ssh-ed25519", b"x" * 31), signature=packed("ssh-ed25519", bytes(64))),
        "can't be read",
    ),
    "no key": (Presented("ssh-ed25519", b""), "where ssh-ed25519 was agreed on"),
    "a type that is no text": (Presented("ssh-ed25519", packed(b"\xff\xfe", b"x" * 32)), "can't be read"),
    "a compressed point": (Presented("ecdsa-sha2-nistp256", COMPRESSED), "not encoded as such a key is"),
    "a negative modulus": (Presented("rsa-sha2-512", NEGATIVE, KEY), "can't be read"),
    "an RSA key where another was agreed on": (
        Presented("ssh-ed25519", KEY.asbytes(), KEY, "rsa-sha2-512"),
        "presents ssh-rsa signed with rsa-sha2-512, where ssh-ed25519 was agreed on",
    ),
    "a signature by another algorithm": (
        Presented("rsa-sha2-512", KEY.asbytes(), KEY, "rsa-sha2-256"),
        "signed with rsa-sha2-256, where rsa-sha2-512 was agreed on",
    ),
    "bytes behind the key": (
        Presented("ecdsa-sha2-nistp256", ECDSA.asbytes() + b"x"),
        "not encoded as such a key is",
    ),
    "bytes behind the signature": (
        Presented("ecdsa-sha2-nistp256", ECDSA.asbytes(), signature=packed("ecdsa-sha2-nistp256", b"x") + b"x"),
        "the signature with its host key is malformed",
    ),
    "a signature of another key": (
        Presented("ecdsa-sha2-nistp256", ECDSA.asbytes(), ECDSAKey.generate()),
        "Signature verification",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_host_key_that_ssh_does_not_take_is_told(home: Path, case: str) -> None:
    presented, said = MALFORMED[case]
    server = Sshd(key=presented, keys=(sealed(home / "key"),))
    with serving(server):
        configure(home, server, f"IdentityFile {home}/key", f"HostKeyAlgorithms {presented.kind}")
        place = f"[127.0.0.1]:{server.port}"
        lines = [
            f"{place} ssh-rsa {KEY.get_base64()}",
            f"{place} {ECDSA.get_name()} {ECDSA.get_base64()}",
            server.known(),
        ]
        (home / "known_hosts").write_text("\n".join(lines))
        assert ssh().returncode == 255
        with pytest.raises(Unreachable, match="box") as refused:
            connect(Hosts(), nobody)
        assert said in refused.value.details
        assert refused.value.hint


def test_a_host_that_has_nothing_in_common_is_not_waited_for(home: Path) -> None:
    with serving(server := Sshd(keys=(sealed(home / "key"),))):
        configure(home, server, f"IdentityFile {home}/key", "HostKeyAlgorithms ssh-ed25519")
        assert ssh().returncode == 255
        with pytest.raises(Unreachable, match="no algorithm in common") as refused:
            connect(Hosts(), nobody)
        assert not isinstance(refused.value, HostUnreachable)
        assert "HostKeyAlgorithms" in refused.value.hint


def test_another_host_key_within_the_connection_ends_it(home: Path) -> None:
    with serving(server := Sshd(keys=(sealed(home / "key"),))):
        configure(home, server, f"IdentityFile {home}/key")
        opened = connect(Hosts(), nobody)
        transport: Any = opened.transport
        transport.renegotiate_keys()  # the same one
        server.links[-1].add_server_key(RSAKey.generate(1024))
        with pytest.raises(SSHException, match="another host key"):
            transport.renegotiate_keys()
        connection.close(opened)


def test_words_of_a_host_that_are_no_text_end_no_command_with_a_traceback(home: Path) -> None:
    sealed(home / "key")
    with serving(server := Sshd(max_auth_tries=1, farewell=b"\xff\xfebye")):
        configure(home, server, f"IdentityFile {home}/key")
        with pytest.raises(Problem, match="too many attempts") as refused:
            connect(Hosts(), nobody)
        assert "bye" in refused.value.details
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]

    def answer() -> None:
        link = listener.accept()[0]
        link.sendall(b"SSH-2.0-x\r\n")
        names = b"\x14" + bytes(16) + packed(b"curve25519-sha256", b"\xff\xfe", *[b"x"] * 8) + bytes(5)
        padding = 8 - (len(names) + 5) % 8 + 8
        link.sendall(struct.pack(">IB", len(names) + padding + 1, padding) + names + bytes(padding))
        with suppress(OSError):
            link.recv(65536)

    threading.Thread(target=answer, daemon=True).start()
    configure(home, server)
    with pytest.raises(Problem, match="box"):
        connect(Hosts(), nobody)
    listener.close()


@pytest.mark.parametrize(("bits", "taken"), [(1024, True), (2048, False)])
def test_an_rsa_key_with_fewer_bits_than_required_is_refused(home: Path, bits: int, taken: bool) -> None:
    with serving(server := Sshd(keys=(sealed(home / "key"),))):
        configure(home, server, f"IdentityFile {home}/key", f"RequiredRSASize {bits}")
        assert (ssh().returncode == 0) is taken
        if taken:
            connection.close(connect(Hosts(), nobody))
            return
        with pytest.raises(Problem, match="box") as refused:
            connect(Hosts(), nobody)
        assert "1024 bits, fewer than RequiredRSASize 2048" in refused.value.details
