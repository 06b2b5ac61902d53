"""A host over SSH: no secret is in a command line, and root needs sudo only where the user is not root."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from slipway.config.models import HostEntry, Hosts
from slipway.engine.steps import Probe
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Privilege
from slipway.hosts.preflight import MIN_FREE_DISK
from slipway.hosts.ssh.command_line import AS_USER, command_line
from slipway.hosts.ssh.host import SshHost

PASSWORD = "a'b\"$c \\"
FIT = Facts(
    kernel="Linux", arch="x86_64", uid=1000, user="deploy", sudo="password", disk=10 * MIN_FREE_DISK, systemd=True
)


def ssh(facts: Facts = FIT, proxy: str | None = None) -> SshHost:
    host = SshHost("box", Hosts(hosts={"box": HostEntry(address="192.0.2.1", proxy=proxy)}), lambda *_: PASSWORD)
    host.probe = Probe(lambda: facts)
    host._sudo_password = PASSWORD  # as if it had been tried
    return host


def decoded(line: str) -> str:
    """The command in a line for any login shell."""
    return re.sub(r"\\0(\d{3})", lambda octal: chr(int(octal[1], 8)), shlex.split(line)[-1])


def test_the_sudo_password_and_the_environment_are_on_standard_input_and_never_in_the_line() -> None:
    command = Command(("apt-get", "install", "x y"), env={"TOKEN": "s3cr3t"}, privilege=Privilege.ROOT)
    host = ssh()
    head, line = command_line(command, host._escalation(command.privilege), host._proxy_env)
    assert head == f"{PASSWORD}\nTOKEN=s3cr3t\n".encode()
    words = shlex.split(decoded(line))
    assert not [word for word in words if "s3cr3t" in word or PASSWORD in word or PASSWORD[:3] in word]
    assert words[:4] == ["exec", "sudo", "-k", "-S"]
    assert words[-1] == "x y"


@pytest.mark.parametrize(("changes", "words"), [({"uid": 0}, False), ({"sudo": "nopasswd"}, True)])
def test_root_needs_no_sudo_and_sudo_without_a_password_is_given_none(changes: dict[str, object], words: bool) -> None:
    host = ssh(replace(FIT, **changes))  # type: ignore[arg-type]
    head, line = command_line(Command(("true",)), host._escalation(Privilege.ROOT), host._proxy_env)
    assert (head, "sudo -n" in decoded(line)) == (b"", words)


def test_a_proxy_is_in_every_commands_environment() -> None:
    head, line = command_line(Command(("true",)), AS_USER, ssh(proxy="http://user:pass@proxy:3128")._proxy_env)
    assert b"https_proxy=http://user:pass@proxy:3128\n" in head
    assert b"NO_PROXY=localhost,127.0.0.1," in head
    assert "pass@" not in decoded(line)


def test_a_host_without_sudo_says_so_when_root_is_needed() -> None:
    host = ssh(replace(FIT, sudo=""))
    host._sudo_password = None
    with pytest.raises(Problem, match="no sudo") as raised:
        host._escalation(Privilege.ROOT)
    assert isinstance(raised.value, UsageError)
