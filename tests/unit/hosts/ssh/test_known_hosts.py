"""known_hosts, against the real ssh: a host is accepted where that accepts it; lines that it skips stop nothing."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko import RSAKey

from slipway.config.models import Hosts
from slipway.config.ssh_destination import Destination
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.ssh import connection, known_hosts, ssh_config
from slipway.hosts.ssh.known_hosts import KeyStatus
from slipway.hosts.ssh.ssh_config import SshConfig
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import KEY, Sshd, at, configure, connect, hosts, nobody, noting, sealed, serving, ssh

OTHER = RSAKey.generate(1024)
KEYS = {"key": f"ssh-rsa {KEY.get_base64()}", "other": f"ssh-rsa {OTHER.get_base64()}"}
IDENTITY = "IdentityFile {home}/key"


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
        "{name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAH3h4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=",  # of 31 bytes
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
    known = known_hosts.read(config, Hosts(known_hosts=str(file)), null_reporter())
    status = known.about("ssh-rsa", KEY.asbytes(), Cancel()).status(KEY.asbytes())
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
        connection.close(connect(named, nobody, noting(notes)))
    assert notes == [f"{file}: skipped line 2, 3, 4, 5, 8, which ssh ignores: not a host key"]


def test_the_files_and_the_alias_of_the_configuration_are_used(home: Path, server: Sshd) -> None:
    key = server.known().partition(" ")[2]
    (home / "two").write_text(f"|1|x\nalias.example {key}")
    (home / ".ssh" / "config").write_text(
        f"Host box\n HostName 127.0.0.1\n Port {server.port}\n User deploy\n IdentityFile {home}/key\n"
        f" HostKeyAlias Alias.example\n UserKnownHostsFile {home}/one {home}/two\n"
    )
    connection.close(connect(Hosts(), nobody))
    config = ssh_config.read(Destination("box"), Cancel())
    assert known_hosts.files(config, Hosts())[:2] == [home / "one", home / "two"]
    assert known_hosts.read(config, Hosts(), null_reporter()).lookup_name == "alias.example"


@pytest.mark.parametrize("value", ["none", "/dev/null"])
def test_verification_that_is_turned_off_uses_the_users_own_file(home: Path, server: Sshd, value: str) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host box\n HostName 127.0.0.1\n Port {server.port}\n IdentityFile {home}/key\n"
        f" UserKnownHostsFile {value}\n StrictHostKeyChecking no\n"
    )
    config = ssh_config.read(Destination("box"), Cancel())
    assert known_hosts.files(config, Hosts())[0] == home / ".ssh" / "known_hosts"
    assert known_hosts.read(config, Hosts(), null_reporter()).status(KEY.asbytes()) is KeyStatus.UNKNOWN
    (home / ".ssh" / "known_hosts").write_text(server.known())
    connection.close(connect(Hosts(), nobody))


def accepted() -> bool:
    try:
        connection.close(connect(Hosts(), nobody))
    except Problem:
        return False
    return True


def accepted_by_ssh() -> bool:
    argv = ["ssh", "-o", "BatchMode=yes", "box", "true"]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30).returncode == 0


REVOCATIONS = {
    "a list with the key": ("{key}\n", True),
    "a list without it": ("# comment\n\n{other}\n", False),
    "a list with a line that is no key": ("junk\n{other}\n{key}\n", True),
    "a line that is no key before others": ("junk\n{other}\n", True),
    "an empty list": ("", False),
    "no such file": (None, True),
}


def test_a_file_of_revoked_host_keys_is_named_without_tokens(home: Path, server: Sshd) -> None:
    (home / "127.0.0.1").touch()
    configure(home, server, IDENTITY.format(home=home), f"RevokedHostKeys {home}/%h")
    assert (accepted(), accepted_by_ssh()) == (False, False)


@pytest.mark.parametrize("case", REVOCATIONS)
def test_a_key_in_revoked_host_keys_is_refused_where_ssh_refuses_it(home: Path, server: Sshd, case: str) -> None:
    text, refused = REVOCATIONS[case]
    if text is not None:
        (home / "revoked").write_text(text.format(**KEYS))
    configure(home, server, IDENTITY.format(home=home), f"RevokedHostKeys {home}/revoked")
    assert (accepted(), accepted_by_ssh()) == (not refused, not refused)


def test_a_key_revocation_list_is_read_too(home: Path, server: Sshd) -> None:
    (home / "key.pub").write_text(f"ssh-rsa {KEY.get_base64()}\n")
    (home / "other.pub").write_text(f"ssh-rsa {OTHER.get_base64()}\n")
    configure(home, server, IDENTITY.format(home=home), f"RevokedHostKeys {home}/revoked")
    revoked = home / "revoked"
    for name in ("other", "key"):
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(revoked), str(home / f"{name}.pub")], check=True)
        if name == "other":
            assert accepted()
    with pytest.raises(Problem, match="REVOKED") as problem:
        connect(Hosts(), nobody)
    assert f"is revoked by {revoked}" in problem.value.details
    revoked.write_bytes(revoked.read_bytes()[:20])
    with pytest.raises(UsageError, match=re.escape(f"{revoked} can't be read")):
        connect(Hosts(), nobody)


COMMANDS = {
    "the key": ("echo '{name} {key}'", True),
    "another key": ("echo '{name} {other}'", False),
    "another host's key": ("echo 'elsewhere {key}'", False),
    "the key, and a failure": ("echo '{name} {key}'; exit 3", False),
    "a revoked key": ("echo '{name} {key}'; echo '@revoked {name} {key}'", False),
    "the key when it is asked about that": ('[ "$2" = ORDER ] || echo "{name} $3 $4"', True),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_known_hosts_command_is_asked_as_ssh_asks_it(home: Path, server: Sshd, case: str) -> None:
    script, right = COMMANDS[case]
    heard, program = home / "heard", home / "a command"
    asked = f'printf "%s|" "$@" >>"{heard}"; echo >>"{heard}"\n'
    program.write_text("#!/bin/sh\n" + asked + script.format(name=f"[127.0.0.1]:{server.port}", **KEYS))
    program.chmod(0o755)
    configure(
        home,
        server,
        IDENTITY.format(home=home),
        f'KnownHostsCommand "{program}" %H %I %t %K %f %% %n %h %p %r "two words" %%H',
    )
    (home / "known_hosts").unlink()

    def conversation(accepts: Callable[[], bool]) -> tuple[bool, list[str]]:
        heard.unlink(missing_ok=True)
        return accepts(), sorted(line for line in heard.read_text().splitlines() if "|ADDRESS|" not in line)

    ours, theirs = conversation(accepted), conversation(accepted_by_ssh)
    assert ours == theirs
    assert ours[0] is right


def test_a_changed_key_names_the_command_that_has_another(home: Path, server: Sshd) -> None:
    line = f"[127.0.0.1]:{server.port} ssh-rsa {OTHER.get_base64()}"
    configure(home, server, IDENTITY.format(home=home), f"KnownHostsCommand /bin/echo {line}")
    (home / "known_hosts").unlink()
    with pytest.raises(Problem, match="HAS CHANGED") as problem:
        connect(Hosts(), nobody)
    assert "(KnownHostsCommand)" in problem.value.details
    assert "correct what KnownHostsCommand prints" in problem.value.hint


@pytest.mark.parametrize("command", ["sh {program}", "/absent"])
def test_a_known_hosts_command_that_ssh_does_not_run_is_passed_over(home: Path, server: Sshd, command: str) -> None:
    (home / "program").write_text(f"echo '[127.0.0.1]:{server.port} ssh-rsa {KEY.get_base64()}'\n")
    configure(
        home,
        server,
        IDENTITY.format(home=home),
        f"KnownHostsCommand {command.format(program=home / 'program', home=home)}",
    )
    assert (accepted(), accepted_by_ssh()) == (True, True)
    (home / "known_hosts").unlink()
    assert (accepted(), accepted_by_ssh()) == (False, False)


def test_a_known_hosts_command_that_can_not_be_run_is_told(home: Path, server: Sshd) -> None:
    configure(home, server, IDENTITY.format(home=home), f"KnownHostsCommand {home}")
    assert (accepted(), accepted_by_ssh()) == (False, False)
    with pytest.raises(UsageError, match="its KnownHostsCommand can't be run"):
        connect(Hosts(), nobody)
