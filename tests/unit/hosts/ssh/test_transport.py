"""The host keys that are negotiated and taken, against the real ssh."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko import ECDSAKey, Ed25519Key, Message, PKey, RSAKey

from slipway.config.models import Hosts
from slipway.errors import Problem
from slipway.hosts.ssh import connection
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import KEY, CertifiedKey, Sshd, configure, connect, nobody, packed, sealed, serving

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
        ["{place} {rsa}", "{place} {ecdsa}", "{place} {ed25519}", "@cert-authority * {ca}", "{place} {wrong}"]
    ),
    max_size=3,
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
    for name, file in (("ed25519", "host"), ("ca", "ca"), ("wrong", "other")):
        keys[name] = (home / f"{file}.pub").read_text().strip()
    with serving(server):
        yield server, keys


class Presented(RSAKey):
    """A key of this type that presents other bytes as its public half, or signs by itself."""

    def __init__(self, kind: str, blob: bytes, key: PKey = ECDSA, algorithm: str = "") -> None:
        self.kind, self.blob, self.key_that_signs, self.algorithm = kind, blob, key, algorithm

    def get_name(self) -> str:
        return self.kind

    def asbytes(self) -> bytes:
        return self.blob

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Message:
        return self.key_that_signs.sign_ssh_data(data, self.algorithm or algorithm)


POINT = ECDSA.asbytes()[-64:]
COMPRESSED = packed("ecdsa-sha2-nistp256", "nistp256", bytes([2 + POINT[-1] % 2]) + POINT[:32])
MALFORMED = {
    "a key that is too short": Presented("ssh-ed25519", packed("ssh-ed25519", b"x" * 31)),
    "no key": Presented("ssh-ed25519", b""),
    "a type that is no text": Presented("ssh-ed25519", packed(b"\xff\xfe", b"x" * 32)),
    "a compressed point": Presented("ecdsa-sha2-nistp256", COMPRESSED),
    "an RSA key where another was agreed on": Presented("ssh-ed25519", KEY.asbytes(), KEY, "rsa-sha2-512"),
    "a signature by another algorithm": Presented("rsa-sha2-512", KEY.asbytes(), KEY, "rsa-sha2-256"),
    "bytes behind the key": Presented("ecdsa-sha2-nistp256", ECDSA.asbytes() + b"x"),
    "a signature of another key": Presented("ecdsa-sha2-nistp256", ECDSA.asbytes(), ECDSAKey.generate()),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_host_key_that_ssh_does_not_take_is_told(home: Path, case: str) -> None:
    presented = MALFORMED[case]
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
        with pytest.raises(Problem, match="box") as refused:
            connect(Hosts(), nobody)
        assert refused.value.details


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
