"""Host certificates, against the real ssh: one is believed where that believes it."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko import Ed25519Key, Message, PKey

from slipway.config.models import Hosts
from slipway.engine.cancellation import Cancel
from slipway.errors import Problem, Unreachable
from slipway.hosts.ssh import connection, host_certificate
from slipway.hosts.ssh.host_key import UnusableHostKey, packed
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import (
    CertifiedKey,
    Sshd,
    at,
    configure,
    connect,
    hosts,
    nobody,
    sealed,
    serving,
    ssh,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True)


@pytest.fixture(scope="module")
def presented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private key of a host; beside it those of authorities: `ca`, `rsa` and `other`."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("host", "ed25519"), ("ca", "ed25519"), ("other", "ed25519"), ("rsa", "rsa"), ("dsa", "dsa")):
        keygen("-t", kind, "-N", "", "-f", str(folder / name))
    keygen("-s", str(folder / "other"), "-I", "an authority", str(folder / "ca.pub"))
    return folder / "host"


def certified(presented: Path, *words: str, by: str = "ca") -> tuple[PKey, CertifiedKey]:
    """The host's key, without and with a certificate."""
    keygen("-s", str(presented.parent / by), "-I", "a host", *words, f"{presented}.pub")
    return Ed25519Key(filename=str(presented)), CertifiedKey(presented)


def public(file: Path) -> str:
    return " ".join(Path(f"{file}.pub").read_text().split()[:2])


FOR_IT = ("-h", "-n", "127.0.0.1")
BELIEVED = "@cert-authority * {ca}\n"


@pytest.mark.parametrize(
    ("words", "lines", "said"),
    [
        (FOR_IT, BELIEVED, ""),
        (FOR_IT, "@cert-authority [127.0.0.1]:* {ca}\n", ""),
        (FOR_IT, "@cert-authority 127.0.0.1 {ca}\n", ""),  # without the port
        (FOR_IT, "@cert-authority 192.0.2.1 {ca}\n", "not known here"),
        (FOR_IT, "@cert-authority * {other}\n", "signed by another, SHA256:"),
        (FOR_IT, "@cert-authority * {other}\n@cert-authority * {ca}\n", ""),
        (FOR_IT, "{place} {ca}\n", "HAS CHANGED"),
        (FOR_IT, BELIEVED + "{place} {other}\n", ""),
        (FOR_IT, BELIEVED + "@revoked * {ca}\n", "REVOKED"),
        (FOR_IT, BELIEVED + "@revoked * {host}\n", "REVOKED"),
        (FOR_IT, BELIEVED + "@revoked * {certificate}\n", "REVOKED"),
        (FOR_IT, "{place} {host}\n@revoked * {certificate}\n", "REVOKED"),
        (FOR_IT, "{place} {certificate}\n", "HAS CHANGED"),
        (FOR_IT, "@cert-authority * {certified_ca}\n", ""),
        (FOR_IT, "{place} {host}\n", ""),
        (FOR_IT, "{place} {host}\n@cert-authority * {other}\n", ""),
        (FOR_IT, "{place} {other}\n127.0.0.1 {host}\n", ""),  # found without the port, before its plain key
        (FOR_IT, "{place} {other}\n@cert-authority 127.0.0.1 {ca}\n", ""),
        (FOR_IT, "@cert-authority {place} {other}\n@cert-authority 127.0.0.1 {ca}\n", ""),
        (("-h", "-n", "x"), "@cert-authority {place} {ca}\n127.0.0.1 {host}\n", ""),
        (("-h", "-n", "x"), "@cert-authority {place} {ca}\n{place} {other}\n127.0.0.1 {host}\n", "HAS CHANGED"),
        (FOR_IT, "{place} {host}\n@revoked 127.0.0.1 {ca}\n", ""),
        (FOR_IT, "@revoked 127.0.0.1 {ca}\n", "REVOKED"),
        (FOR_IT, "127.0.0.1 {host}\n@revoked 127.0.0.1 {ca}\n", ""),
        (("-h",), BELIEVED, ""),  # for any host
        (("-h", "-n", "a,127.0.0.1"), BELIEVED, ""),
        (("-h", "-n", "127.0.*"), BELIEVED, "it is for 127.0.*"),  # ssh 9.2 knows no wildcards here
        (("-h", "-n", "127.0.0.2"), BELIEVED, "it is for 127.0.0.2"),
        (("-h", "-n", "127.0.0.2"), BELIEVED + "{place} {host}\n", ""),  # as a plain key
        (("-n", "127.0.0.1"), BELIEVED, "it is a user's"),
        ((*FOR_IT, "-V", "20200101:20200102"), BELIEVED, "it has expired"),
        ((*FOR_IT, "-V", "20200101:20200102"), BELIEVED + "{place} {host}\n", ""),
        ((*FOR_IT, "-V", "+1d:+2d"), BELIEVED, "it is not valid yet"),
        ((*FOR_IT, "-V", "-1d:+1d"), BELIEVED, ""),
        ((*FOR_IT, "-O", "critical:unknown=1"), BELIEVED, "it has critical options"),
        ((*FOR_IT, "-t", "ssh-rsa"), BELIEVED, "signed with ssh-rsa"),
        ((*FOR_IT, "-t", "rsa-sha2-512"), BELIEVED, ""),
        ((*FOR_IT, "-t", "ssh-dss"), BELIEVED, "signed with ssh-dss"),
        ((*FOR_IT, "-t", "ssh-dss"), BELIEVED + "{place} {host}\n", ""),
    ],
)
def test_a_certificate_is_believed_where_ssh_believes_it(
    home: Path, presented: Path, words: tuple[str, ...], lines: str, said: str
) -> None:
    by = "dsa" if "ssh-dss" in words else "rsa" if "-t" in words else "ca"
    plain, certificate = certified(presented, *words, by=by)
    server = Sshd(key=plain, more_keys=(certificate,), keys=(sealed(home / "key"),))
    with serving(server):
        named = hosts(home, box=at(server, key=str(home / "key")))
        keys = {"ca": public(presented.with_name(by)), "other": public(presented.with_name("other"))}
        keys |= {
            "certificate": public(Path(f"{presented}-cert")),
            "certified_ca": public(presented.with_name("ca-cert")),
        }
        known = Path(str(named.known_hosts))
        known.write_text(lines.format(place=f"[127.0.0.1]:{server.port}", host=public(presented), **keys))
        theirs = ssh(server, home / "key", UserKnownHostsFile=known)
        assert (theirs.returncode == 0) is (not said), theirs
        if not said:
            connection.close(connect(named, nobody))
            return
        with pytest.raises(Problem) as refused:
            connect(named, nobody)
        assert said in f"{refused.value.summary} {refused.value.details}"


def test_no_certificate_counts_in_which_a_byte_was_changed_or_is_missing(presented: Path) -> None:
    _, certificate = certified(presented, *FOR_IT)
    whole = certificate.certificate
    read = host_certificate.read(whole, Cancel())
    assert read.doubt("127.0.0.1", ("ssh-ed25519",)) == ""
    start = len(certificate.kind) + 4  # paramiko reads no other type as a certificate
    for place in range(start, len(whole), 7):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for wrong in (changed, whole[:place]):
            with pytest.raises(UnusableHostKey, match="certificate is invalid"):
                host_certificate.read(wrong, Cancel())


def test_a_host_without_a_certificate_is_told_so(home: Path, presented: Path) -> None:
    server = Sshd(keys=(sealed(home / "key"),))
    with serving(server):
        named = hosts(home, box=at(server, key=str(home / "key")))
        Path(str(named.known_hosts)).write_text(BELIEVED.format(ca=public(presented.with_name("ca"))))
        with pytest.raises(Problem, match="no authority that is known here") as refused:
            connect(named, nobody)
        assert "it presents no certificate" in refused.value.details


def test_a_revocation_list_may_have_the_certificate_its_authority_or_its_key(home: Path, presented: Path) -> None:
    plain, certificate = certified(presented, *FOR_IT, "-z", "7")
    keys, server = presented.parent, Sshd(key=plain, more_keys=(certificate,), keys=(sealed(home / "key"),))
    (home / "serials").write_text("serial: 7\n")
    keygen("-k", "-f", str(home / "by-serial"), "-s", str(keys / "ca.pub"), str(home / "serials"))
    for name in ("host", "other"):
        keygen("-k", "-f", str(home / f"of-{name}"), str(keys / f"{name}.pub"))
    with serving(server):
        for revoked in (home / "by-serial", home / "of-host", keys / "ca.pub", home / "of-other"):
            configure(home, server, f"IdentityFile {home}/key", f"RevokedHostKeys {revoked}")
            known = home / "known_hosts"
            known.write_text(BELIEVED.format(ca=public(keys / "ca")))
            theirs = ssh(server, home / "key", UserKnownHostsFile=known, RevokedHostKeys=revoked)
            assert (theirs.returncode == 0) is (revoked.name == "of-other"), theirs
            if theirs.returncode == 0:
                connection.close(connect(Hosts(), nobody))
                continue
            what = {"by-serial": "certificate", "of-host": "host key", "ca.pub": "certificate's authority"}[
                revoked.name
            ]
            with pytest.raises(Problem, match=f"its {what} is REVOKED") as problem:
                connect(Hosts(), nobody)
            assert f"the {what}" in problem.value.details
            assert f"is revoked by {revoked}" in problem.value.details


@pytest.mark.parametrize(
    ("alias", "lines", "believed"),
    [
        ("Box", "@cert-authority box {ca}\n", True),
        ("box.example", "@cert-authority box {ca}\n", False),
        ("[box]:2222", "@cert-authority [box]:2222 {ca}\n", False),  # it is not for the name in brackets
        ("[box]:2222", "@cert-authority box {ca}\n", False),
        ("[box]:2222", "box {host}\n", False),
        ("[box]:2222", "[box]:2222 {host}\n", True),
        ("none", "none {host}\n", True),
        ("none", "127.0.0.1 {host}\n", False),
    ],
)
def test_a_certificate_is_for_the_alias_of_a_host(
    home: Path, presented: Path, alias: str, lines: str, believed: bool
) -> None:
    plain, certificate = certified(presented, "-h", "-n", "box")
    server = Sshd(key=plain, more_keys=(certificate,), keys=(sealed(home / "key"),))
    with serving(server):
        configure(home, server, f"IdentityFile {home}/key", f"HostKeyAlias {alias}")
        known = home / "known_hosts"
        known.write_text(lines.format(ca=public(presented.with_name("ca")), host=public(presented)))
        assert agree() is believed


def agree() -> bool:
    """Whether box is connected to, by ssh and here alike."""
    theirs = subprocess.run(["ssh", "-o", "BatchMode=yes", "box", "true"], capture_output=True, check=False, timeout=30)
    try:
        connection.close(connect(Hosts(), nobody))
    except Problem:
        assert theirs.returncode == 255
        return False
    assert theirs.returncode == 0, theirs
    return True


def by_security_key(presented: Path, home: Path, counter: int = 7) -> CertifiedKey:
    """The host's key with a certificate that a FIDO authenticator signed (PROTOCOL.u2f of OpenSSH)."""
    private, application = Ed25519PrivateKey.generate(), b"ssh:"
    kind = "sk-ssh-ed25519@openssh.com"
    authority = packed(kind, private.public_key().public_bytes_raw(), application)
    body = Message()
    for one in ("ssh-ed25519-cert-v01@openssh.com", b"nonce", Ed25519Key(filename=str(presented)).asbytes()[-32:]):
        body.add_string(one)
    body.add_int64(0)
    body.add_int(2)
    for one in ("a host", packed("127.0.0.1")):
        body.add_string(one)
    body.add_int64(0)
    body.add_int64(2**64 - 1)
    for one in (b"", b"", b"", authority):
        body.add_string(one)
    flags, digest = b"\1" + struct.pack(">I", 7), hashlib.sha256
    signed = private.sign(digest(application).digest() + flags + digest(body.asbytes()).digest())
    body.add_string(packed(kind, signed) + b"\1" + struct.pack(">I", counter))
    made = CertifiedKey(presented)
    made.certificate = body.asbytes()
    (home / "known_hosts").write_text(f"@cert-authority * {kind} {base64.b64encode(authority).decode()}\n")
    return made


@pytest.mark.parametrize(("counter", "revoked", "believed"), [(7, False, True), (8, False, False), (7, True, False)])
def test_an_authority_may_be_a_security_key(
    home: Path, presented: Path, counter: int, revoked: bool, believed: bool
) -> None:
    plain, _ = certified(presented, *FOR_IT)
    server = Sshd(key=plain, keys=(sealed(home / "key"),))
    server.more_keys = (by_security_key(presented, home, counter),)
    known = home / "known_hosts"
    text = known.read_text()
    with serving(server):
        configure(home, server, f"IdentityFile {home}/key")
        known.write_text(text + (text.replace("@cert-authority", "@revoked") if revoked else ""))
        assert agree() is believed


def test_a_certificate_that_is_signed_wrongly_ends_the_connection_though_its_key_is_on_record(
    home: Path, presented: Path
) -> None:
    plain, certificate = certified(presented, *FOR_IT)
    whole = certificate.certificate
    certificate.certificate = whole[:-1] + bytes([whole[-1] ^ 1])
    server = Sshd(key=plain, more_keys=(certificate,), keys=(sealed(home / "key"),))
    with serving(server):
        configure(home, server, f"IdentityFile {home}/key")
        assert not agree()
        with pytest.raises(Unreachable, match=r"box .*its host key can't be used") as told:
            connect(Hosts(), nobody)
        assert re.fullmatch("its certificate is invalid: .*signature", told.value.details)
        configure(home, server, f"IdentityFile {home}/key", "HostKeyAlgorithms ssh-ed25519")
        assert agree()


def test_known_hosts_command_is_asked_about_the_certificate(home: Path, presented: Path) -> None:
    plain, certificate = certified(presented, *FOR_IT)
    server, heard, program = Sshd(key=plain, more_keys=(certificate,)), home / "heard", home / "command"
    server.keys = (sealed(home / "key"),)
    authority = public(presented.with_name("ca"))
    with serving(server):
        program.write_text(
            f'#!/bin/sh\nprintf "%s|" "$@" >>"{heard}"; echo >>"{heard}"\n'
            f'echo "@cert-authority [127.0.0.1]:{server.port} {authority}"\n'
        )
        program.chmod(0o755)
        configure(home, server, f"IdentityFile {home}/key", f"KnownHostsCommand {program} %H %I %t %K %f")
        (home / "known_hosts").unlink()
        assert agree()
    calls = [line for line in heard.read_text().splitlines() if "|ADDRESS|" not in line]
    assert len(calls) > 2
    assert sorted(calls[: len(calls) // 2]) == sorted(calls[len(calls) // 2 :])
