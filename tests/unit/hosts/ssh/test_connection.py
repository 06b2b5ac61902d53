"""Connections, over an sshd of this process: which host key is accepted, and which host gets which secret."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from paramiko import RSAKey

from slipway.config.models import HostEntry, Hosts
from slipway.engine.reporter import null_reporter
from slipway.errors import NextCommand, Problem, Unreachable, UsageError
from slipway.hosts.ssh import connection, trust
from slipway.hosts.ssh.host import SshHost
from tasks.paths import ROOT
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import KEY, TIGHT, Sshd, answers, at, connect, hosts, nobody, sealed, serving, ssh

OTHER = RSAKey.generate(1024)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


# Whose key it is.


def test_a_jump_hosts_key_is_recorded_under_its_own_name_and_then_the_hosts(home: Path) -> None:
    key = sealed(home / ".ssh" / "id_ed25519")
    gate, box = Sshd(keys=(key,)), Sshd(key=OTHER, keys=(key,))
    with serving(gate, box):
        (home / ".ssh" / "config").write_text(
            f"Host box\n  HostName 127.0.0.1\n  Port {box.port}\n  User deploy\n  ProxyJump deploy@gate\n"
            f"Host gate\n  HostName 127.0.0.1\n  Port {gate.port}\n"
        )
        named = hosts(home, box=HostEntry(address="box"))
        for server, name in ((gate, "gate"), (box, "box")):
            with pytest.raises(Problem, match="not known here") as unknown:
                connect(named, nobody)
            assert unknown.value.summary.startswith(name)
            assert unknown.value.commands == (NextCommand("host.trust", {"host": "box"}),)
            offer = trust.presented_key("box", named, nobody, null_reporter())
            assert (offer.hop, offer.lookup_name, offer.key, offer.known) == (
                name, f"[127.0.0.1]:{server.port}", server.key, False)  # fmt: skip
            trust.record_key(offer)
        assert trust.presented_key("box", named, nobody, null_reporter()).known
        connection.close(connect(named, nobody))


def test_a_changed_key_of_a_jump_host_is_reported_as_its_own_with_the_command_that_removes_it(home: Path) -> None:
    gate, box = Sshd(), Sshd()
    with serving(gate, box):
        named = hosts(home, box, gate=at(gate), box=at(box, jump="gate"))
        Path(str(named.known_hosts)).write_text(box.known() + gate.known(OTHER))
        for ask in (lambda: connect(named, nobody), lambda: trust.presented_key("box", named, nobody, null_reporter())):
            with pytest.raises(Problem, match="HAS CHANGED") as changed:
                ask()
            assert changed.value.summary.startswith("gate (127.0.0.1), on the way to box")
            assert f"ssh-keygen -f '{named.known_hosts}' -R '[127.0.0.1]:{gate.port}'" in changed.value.hint
            assert f"{named.known_hosts}:2" in changed.value.details


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@cert-authority * {other}\n{place} {key}\n", ""),
        ("@revoked * {key}\n{place} {key}\n", "REVOKED"),
        ("{place} {other}\n{place} {key}\n", ""),
        ("{place} {key}\n{place} {other}\n", ""),
        ("[127.0.0.*]:{port} {key}\n", ""),
        ("*,!{place} {key}\n", ""),  # ssh looks 127.0.0.1 up too, without the port
        ("*,!{place},!127.0.0.1 {key}\n", "not known here"),
        ("{hashed} {key}\n", ""),
        ("# a comment\n\n{place} {other}\n", "HAS CHANGED"),
        ("{place} {key}\n{place} ssh-rsa AAAAB3Nza\n", ""),
        ("{place} {key}\none-word\n", ""),
        ("@what {place} {key}\n", "not known here"),
        ("@cert-authority * {other}\n", "no authority that is known here .*known_hosts:1.* vouches"),
        ("127.0.0.1 {key}\n", ""),  # ssh: "found matching key w/out port"
        ("127.0.0.1 {other}\n", "not known here"),
        ("@revoked 127.0.0.1 {key}\n{place} {key}\n", ""),  # recorded for another port than this
    ],
)
def test_known_hosts_are_read_as_ssh_reads_them(home: Path, text: str, words: str) -> None:
    key = sealed(home / "key")
    server = Sshd(keys=(key,))
    with serving(server):
        named = hosts(home, box=at(server, key=str(home / "key")))
        known, place = Path(str(named.known_hosts)), f"[127.0.0.1]:{server.port}"
        known.write_text(f"{place} x\n")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=False, capture_output=True)
        known.write_text(server.known())
        subprocess.run(["ssh-keygen", "-H", "-f", str(known)], check=True, capture_output=True)
        own, other = (f"{one.get_name()} {one.get_base64()}" for one in (KEY, OTHER))
        hashed = known.read_text().split()[0]
        known.write_text(text.format(place=place, port=server.port, key=own, other=other, hashed=hashed))
        assert (ssh(server, home / "key", UserKnownHostsFile=known).returncode == 0) is (not words)
        if not words:
            connection.close(connect(named, nobody))
            return
        with pytest.raises(Problem, match=words) as refused:
            connect(named, nobody)
        assert refused.value.hint


IMPORTS = """
import sys, threading
sys.modules["docker.transport.sshconn"] = None  # as slipway.hosts has it
began, deep = threading.Event(), threading.Event()
def pause(event, given):
    thread = threading.current_thread().name
    if (event, thread, given[0]) == ("import", "reads", "cryptography.hazmat.backends"):
        began.set()
        deep.wait(1)
    if (event, thread, given[0]) == ("import", "connects", "paramiko.message"):
        deep.set()
sys.addaudithook(pause)
def reads():
    from paramiko import SSHException
    print("imported")
def connects():
    began.wait()
    from slipway.hosts.ssh import connection
    print("imported")
threads = [threading.Thread(target=work, name=work.__name__) for work in (reads, connects)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_two_threads_that_import_paramiko_at_once_both_have_it_whole() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("imported\nimported\n", "")


# Whose secret it is.


def test_each_hop_is_given_its_own_password_and_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, box = Sshd(passwords={"deploy": "for the gate"}), Sshd(passwords={"deploy": "for the box"})
    monkeypatch.setenv("SLIPWAY_SSH_PASSWORD_GATE", "for the gate")
    monkeypatch.setenv("SLIPWAY_SSH_PASSWORD_BOX", "for the box")
    ask, _ = answers(gate="for the gate", box="for the box")
    with serving(gate, box):
        connection.close(connect(hosts(home, gate, box, gate=at(gate), box=at(box, jump="gate")), ask))
    assert (gate.tried, box.tried) == (["for the gate"], ["for the box"])


def test_a_password_is_prompted_for_where_the_keys_were_refused_and_the_host_accepts_one(home: Path) -> None:
    sealed(home / ".ssh" / "id_ed25519")
    box = Sshd(passwords={"deploy": "secret"})
    ask, asked = answers(box="secret")
    with serving(box):
        named = hosts(home, box, box=at(box))
        connection.close(connect(named, ask))
        assert asked == [("password", "box")]
        with pytest.raises(Problem, match="password of box is wanted") as none:
            connect(named, nobody)
        assert isinstance(none.value, UsageError)
        with pytest.raises(Problem, match=r"box .*authentication failed for user deploy") as wrong:
            connect(named, answers(box="wrong")[0])
        assert "was not accepted" in wrong.value.hint
        assert "or set SLIPWAY_SSH_PASSWORD" not in wrong.value.hint


def test_a_key_that_is_not_there_does_not_matter_to_a_host_that_takes_passwords_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_SSH_PASSWORD", "secret")
    box = Sshd(passwords={"deploy": "secret"}, methods="password")
    with serving(box):
        connection.close(connect(hosts(home, box, box=at(box, key=str(home / "absent"))), answers(box="secret")[0]))


def test_no_password_is_prompted_for_where_the_host_accepts_none(home: Path) -> None:
    sealed(home / ".ssh" / "id_ed25519")
    with serving(box := Sshd()), pytest.raises(Problem, match="authentication failed for user deploy") as refused:
        connect(hosts(home, box, box=at(box)), nobody)
    assert (type(refused.value), "ssh-copy-id" in refused.value.hint) == (Unreachable, True)


def test_a_key_that_can_not_be_opened_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Sshd(keys=(sealed(home / "key", "open sesame"),))
    (home / "text").write_text("no key")
    ask, asked = answers(box="open sesame")
    with serving(box):
        named = hosts(home, box, box=at(box, key=str(home / "key")))
        connection.close(connect(named, ask))
        assert asked == [("passphrase", "box")]
        with pytest.raises(Problem, match="wrong passphrase") as wrong:
            connect(named, answers(box="wrong")[0])
        for name, words in (("absent", "absent can't be read"), ("text", "text: not a private key")):
            with pytest.raises(Problem, match=words) as unread:
                connect(hosts(home, box, box=at(box, key=str(home / name))), nobody)
            assert type(unread.value) is type(wrong.value) is UsageError
        (home / "key").rename(home / ".ssh" / "id_ed25519")  # the user's own, named nowhere
        monkeypatch.setenv("SLIPWAY_SSH_PASSPHRASE", "wrong")
        with pytest.raises(Problem, match="id_ed25519: wrong passphrase") as own:
            connect(hosts(home, box, box=at(box)), answers(box="wrong")[0])
        assert isinstance(own.value, UsageError)


def test_sudo_passwords_of_two_hosts_are_checked_concurrently() -> None:
    both = threading.Barrier(2, timeout=TIGHT)

    class Slow(SshHost):
        def _ask_sudo_password(self) -> str:
            both.wait()  # for the other host's
            return self.name

    found = [Slow(name, Hosts(), nobody) for name in ("one", "two")]
    said: list[str] = []
    threads = [threading.Thread(target=lambda host=host: said.append(host._password())) for host in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["one", "two"]


def test_a_known_hosts_file_that_can_not_be_read_is_named(home: Path) -> None:
    server = Sshd()
    with serving(server):
        known = hosts(home, server, box=at(server))
        (home / "known_hosts").unlink()
        (home / "known_hosts").symlink_to("/proc/self/mem")  # there, and a file; reading it fails for root too
        with pytest.raises(Problem, match="known_hosts can't be read") as unread:
            connect(known, nobody)
        assert isinstance(unread.value, UsageError)


def test_a_key_is_appended_to_the_others_and_the_files_mode_stays(home: Path) -> None:
    server = Sshd()
    with serving(server):
        file = home / "known_hosts"
        file.write_text("other ssh-ed25519 AAAA")
        file.chmod(0o644)
        presented = trust.PresentedKey("box", "box", server.key, known=False, file=file)
        trust.record_key(presented)
        assert file.read_text() == f"other ssh-ed25519 AAAA\nbox {server.key.get_name()} {server.key.get_base64()}\n"
        assert file.stat().st_mode & 0o777 == 0o644
        file.unlink()
        trust.record_key(presented)
        assert file.stat().st_mode & 0o777 == 0o600
        file.unlink()
        file.mkdir()
        with pytest.raises(Problem, match="known_hosts can't be written"):
            trust.record_key(presented)
