"""Host certificates, against the real ssh: one is believed where that believes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from paramiko import Ed25519Key, PKey

from slipway.config.models import Hosts
from slipway.errors import Problem
from slipway.hosts.ssh import connection
from slipway.hosts.ssh.host_certificate import HostCertificate
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import CertifiedKey, Sshd, at, configure, connect, hosts, nobody, sealed, serving, ssh


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True)


@pytest.fixture(scope="module")
def presented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private key of a host; beside it those of authorities: `ca`, `rsa` and `other`."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("host", "ed25519"), ("ca", "ed25519"), ("other", "ed25519"), ("rsa", "rsa")):
        keygen("-t", kind, "-N", "", "-f", str(folder / name))
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
        (FOR_IT, "@cert-authority * {other}\n", "signed by another"),
        (FOR_IT, "@cert-authority * {other}\n@cert-authority * {ca}\n", ""),
        (FOR_IT, "{place} {ca}\n", "HAS CHANGED"),
        (FOR_IT, BELIEVED + "{place} {other}\n", ""),
        (FOR_IT, BELIEVED + "@revoked * {ca}\n", "REVOKED"),
        (FOR_IT, BELIEVED + "@revoked * {host}\n", "REVOKED"),
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
    ],
)
def test_a_certificate_is_believed_where_ssh_believes_it(
    home: Path, presented: Path, words: tuple[str, ...], lines: str, said: str
) -> None:
    by = "rsa" if "-t" in words else "ca"
    plain, certificate = certified(presented, *words, by=by)
    server = Sshd(key=plain, certified=(certificate,), keys=(sealed(home / "key"),))
    with serving(server):
        named = hosts(home, box=at(server, key=str(home / "key")))
        keys = {"ca": public(presented.with_name(by)), "other": public(presented.with_name("other"))}
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
    assert HostCertificate(whole).doubt("127.0.0.1", ()) == ""
    start = len(certificate.kind) + 4  # paramiko reads no other type as a certificate
    for place in range(start, len(whole)):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        assert HostCertificate(changed).doubt("127.0.0.1", ())
        assert HostCertificate(whole[:place]).doubt("127.0.0.1", ())


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
    keys, server = presented.parent, Sshd(key=plain, certified=(certificate,), keys=(sealed(home / "key"),))
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
            with pytest.raises(Problem, match="REVOKED"):
                connect(Hosts(), nobody)
