"""Keys of a FIDO authenticator log in without the user's agent, offered as ssh offers them.

The authenticator is a middleware of the test's own (`security_key.c`), built with gcc.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paramiko import Message, PKey

from slipway.config.models import HostEntry, Hosts
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import Cancelled, Unreachable, UsageError
from slipway.hosts.ssh import connection, private_agent
from slipway.hosts.ssh.private_keys import public_line
from tests.integration.ssh_login import noted_agents, offered_by_ssh, offered_here, once, temporary_folder
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import (
    SecurityKey,
    Sshd,
    agent,
    answers,
    configure,
    connect,
    nobody,
    sealed,
    serving,
)

SOURCE = Path(__file__).with_name("security_key.c")
PIN = "2468"
KEYS = {  # by file, the words of ssh-keygen
    "ed25519_sk": ("-t", "ed25519-sk"),
    "ecdsa_sk": ("-t", "ecdsa-sk"),
    "no_touch": ("-t", "ecdsa-sk", "-O", "no-touch-required"),
    "verified": ("-t", "ed25519-sk", "-O", "verify-required"),
    "encrypted": ("-t", "ed25519-sk"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the middleware, as `provider.so`, and keys that it made; skipped where it can't be built."""
    if not (shutil.which("gcc") and Path("/usr/include/openssl/evp.h").exists()):
        pytest.skip("gcc or the headers of libcrypto (libssl-dev) are not installed")
    folder = tmp_path_factory.mktemp("keys")
    provider = folder / "provider.so"
    _build(provider, "0")
    refused = _make(provider, folder / "none", "-t", "ed25519-sk")
    found = re.search(r"supported: (0x[0-9a-f]+)", refused.stderr)
    assert found, refused.stderr
    _build(provider, found[1])
    for name, words in KEYS.items():
        done = _make(provider, folder / name, *words, passphrase="open sesame" if name == "encrypted" else "")
        assert done.returncode == 0, done.stderr
    sealed(folder / "authority")
    sealed(folder / "key0")
    sign = ("ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "me", "-n", "deploy", f"{folder}/ecdsa_sk.pub")
    subprocess.run(sign, check=True, capture_output=True)
    (folder / "ecdsa_sk-cert.pub").rename(folder / "certificate.pub")
    return folder


def _build(library: Path, version: str) -> None:
    compile_it = ("gcc", "-shared", "-fPIC", f"-DVERSION={version}", "-o", str(library), str(SOURCE), "-lcrypto")
    subprocess.run(compile_it, check=True)


def _make(provider: Path, file: Path, *words: str, passphrase: str = "") -> subprocess.CompletedProcess[str]:
    argv = ("ssh-keygen", "-q", "-w", str(provider), "-N", passphrase, "-f", str(file), *words)
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = sshd.home(tmp_path, monkeypatch)
    private_agent._refused_pins.clear()
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def temporary(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with temporary_folder(monkeypatch) as folder:
        yield folder


def key(home: Path, name: str) -> PKey:
    return SecurityKey(Message(public_line((home / f"{name}.pub").read_bytes()) or b""))


NAMED = ("IdentityFile {home}/ed25519_sk", "IdentityFile {home}/ecdsa_sk", "IdentityFile {home}/key0")
OURS = "SecurityKeyProvider {home}/provider.so"


@pytest.mark.parametrize("accepted", ["", "ed25519_sk", "ecdsa_sk"])
@pytest.mark.parametrize(
    "lines",
    [
        (OURS, *NAMED),
        (OURS, *NAMED, "IdentitiesOnly yes"),
        (OURS, *NAMED, "PubkeyAcceptedAlgorithms sk-ecdsa-sha2-nistp256@openssh.com"),
        ("SecurityKeyProvider $PROVIDER", *NAMED),
        ("SecurityKeyProvider $ABSENT", *NAMED),
        ("SecurityKeyProvider none", *NAMED),
        ("SecurityKeyProvider {home}/absent.so", *NAMED),
        (OURS, "IdentityFile {home}/no_touch", *NAMED),
    ],
)
def test_security_keys_are_offered_in_sshs_order(
    home: Path, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...], accepted: str
) -> None:
    monkeypatch.setenv("PROVIDER", f"{home}/provider.so")
    server = Sshd(keys=(key(home, accepted) if accepted else sshd.KEY,))
    with serving(server):
        configure(home, server, *(line.format(home=home) for line in lines))
        here = offered_here(server, nobody)
        assert here == offered_by_ssh(home, server, "")
        assert here[0]
        assert here[1] or lines[0] is not OURS or accepted != "ecdsa_sk"


def test_the_touch_that_an_authenticator_waits_for_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHED", f"{home}/touched")
    notes: list[str] = []

    def touch(event: Event) -> None:
        if isinstance(event, Output):
            notes.append(event.text)
            (home / "touched").touch()

    report = Reporter("box", touch, Cancel())
    server = Sshd(keys=(key(home, "ed25519_sk"), key(home, "no_touch")))
    with serving(server):
        for name, told in (("no_touch", 0), ("ed25519_sk", 1)):
            configure(home, server, OURS.format(home=home), f"IdentityFile {home}/{name}")
            connection.close(connect(Hosts(), nobody, report))
            assert len(notes) == told
    assert notes[0].startswith("box: Confirm user presence for key ED25519-SK SHA256:")


def test_ctrl_c_ends_the_wait_for_a_touch(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHED", f"{home}/never")
    cancel = Cancel()
    server = Sshd(keys=(key(home, "ed25519_sk"),))
    with serving(server):
        configure(home, server, OURS.format(home=home), NAMED[0].format(home=home))
        with pytest.raises(Cancelled):
            connect(Hosts(), nobody, Reporter("box", lambda _: cancel.request(), cancel))


def test_a_certificate_of_a_security_key_is_offered_as_by_ssh(home: Path) -> None:
    server = Sshd()
    with serving(server):
        for lines in (("CertificateFile {home}/certificate.pub", NAMED[1]), (NAMED[1],)):
            configure(home, server, *(line.format(home=home) for line in (OURS, *lines)))
            for server.keys in ((), (key(home, "ecdsa_sk"),)):
                here = offered_here(server, nobody)
                assert here == offered_by_ssh(home, server, "")
                assert here[1] is bool(server.keys)
                certificate = public_line((home / "certificate.pub").read_bytes())
                assert certificate in here[0] or (server.keys and len(lines) == 1)  # the key beside it comes first
            shutil.copy(home / "certificate.pub", home / "ecdsa_sk-cert.pub")


def test_a_pin_is_asked_for_where_the_key_wants_one_and_a_wrong_one_is_given_once(home: Path) -> None:
    server = Sshd(keys=(key(home, "verified"),))
    with serving(server):
        configure(home, server, OURS.format(home=home), f"IdentityFile {home}/verified")
        assert offered_by_ssh(home, server, PIN)[1]
        ask, asked = answers(box=PIN)
        connection.close(connect(Hosts(), ask))
        assert asked == [("pin", "box")]
        for _ in range(2):
            with pytest.raises(UsageError, match="FIDO authenticator: wrong PIN"):
                connect(Hosts(), answers(box="1357")[0])
        with pytest.raises(UsageError, match="pin of box is wanted"):
            connect(Hosts(), nobody)


def test_a_right_pin_is_not_called_wrong_when_the_touch_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.hosts.ssh.agent.SIGN_TIMEOUT", 3.0)
    monkeypatch.setenv("TOUCHED", f"{home}/touched")
    server = Sshd(keys=(key(home, "verified"),))
    with serving(server):
        configure(home, server, OURS.format(home=home), f"IdentityFile {home}/verified")
        with pytest.raises(Unreachable, match="authentication failed"):
            connect(Hosts(), answers(box=PIN)[0])
        (home / "touched").touch()
        connection.close(connect(Hosts(), answers(box=PIN)[0]))


def test_the_time_for_a_signature_starts_when_the_pin_is_typed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.hosts.ssh.agent.SIGN_TIMEOUT", 3.0)

    def ask(kind: str, host: str) -> str:
        time.sleep(4)
        return PIN

    server = Sshd(keys=(key(home, "verified"),))
    with serving(server):
        configure(home, server, OURS.format(home=home), f"IdentityFile {home}/verified")
        connection.close(connect(Hosts(), ask))


def test_parallel_logins_give_a_wrong_pin_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = home / "given"
    monkeypatch.setenv("PINS", str(given))
    server = Sshd(keys=(key(home, "verified"),))

    def log_in(_: int) -> None:
        with pytest.raises((UsageError, Unreachable)):
            connect(Hosts(), answers(box="1357")[0])

    with serving(server), ThreadPoolExecutor(4) as pool:
        configure(home, server, OURS.format(home=home), f"IdentityFile {home}/verified")
        list(pool.map(log_in, range(4)))
    assert given.read_text() == "1357\n"


def test_an_encrypted_file_of_a_security_key_is_opened_with_its_passphrase(home: Path) -> None:
    server = Sshd(keys=(sshd.KEY,))
    with serving(server):
        configure(home, server, OURS.format(home=home), f"IdentityFile {home}/encrypted")
        ask, asked = answers(box="open sesame")
        with pytest.raises(Unreachable, match="authentication failed"):
            connect(Hosts(), ask)
        assert asked == []
        server.keys = (key(home, "encrypted"),)
        connection.close(connect(Hosts(), ask))
        assert asked == [("passphrase", "box")]
        with pytest.raises(UsageError, match=f"{home}/encrypted: wrong passphrase"):
            connect(Hosts(), answers(box="wrong")[0])


def test_an_authenticator_that_is_not_there_is_passed_over_and_named_where_the_login_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_AUTHENTICATOR", "1")
    server = Sshd(keys=(key(home, "ed25519_sk"), PKey.from_path(str(home / "key0"))))
    with serving(server):
        configure(home, server, *(line.format(home=home) for line in (OURS, NAMED[0], NAMED[2])))
        here = offered_here(server, nobody)
        assert here == offered_by_ssh(home, server, "")
        assert here[1]
        configure(home, server, *(line.format(home=home) for line in (OURS, NAMED[0])))
        with pytest.raises(Unreachable, match="authentication failed for user deploy") as failed:
            connect(Hosts(), nobody)
        assert "the SSH agent does not sign with" in failed.value.details
        configure(home, server, f"SecurityKeyProvider {home}/absent.so", NAMED[0].format(home=home))
        with pytest.raises(Unreachable, match="authentication failed for user deploy") as failed:
            connect(Hosts(), nobody)
        assert "ed25519_sk is not used" not in failed.value.details
        assert f'Could not add identity "{home}/ed25519_sk": agent refused operation' in failed.value.details


def test_a_key_that_is_left_out_for_want_of_a_provider_is_named(home: Path) -> None:
    with serving(server := Sshd()):
        configure(home, server, "SecurityKeyProvider none", NAMED[0].format(home=home))
        with pytest.raises(Unreachable, match="no key or password to authenticate") as failed:
            connect(Hosts(), nobody)
        assert f"{home}/ed25519_sk is not used: there is no SecurityKeyProvider" in failed.value.details


def test_the_users_agent_signs_where_it_has_the_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_SK_PROVIDER", f"{home}/provider.so")
    server = Sshd(keys=(key(home, "no_touch"),))
    with serving(server), agent(home, monkeypatch, providers="*"):
        subprocess.run(["ssh-add", "-q", str(home / "no_touch")], check=True)
        configure(home, server, OURS.format(home=home), f"IdentityFile {home}/no_touch")
        started = noted_agents(home)
        connection.close(connect(Hosts(), nobody))
        assert not started.exists()


def test_the_key_of_hosts_yaml_may_be_on_an_authenticator(home: Path) -> None:
    server = Sshd(keys=(key(home, "ecdsa_sk"),))
    with serving(server):
        configure(home, server, OURS.format(home=home), *(line.format(home=home) for line in NAMED))
        entry = HostEntry(address="box", key=str(home / "ecdsa_sk"))
        connection.close(connect(Hosts(hosts={"box": entry}), nobody))
        assert once(server) == [server.keys[0].asbytes()]
