"""What goes to a host over SSH: no secret in a line, jobs named by what they do, faults of hosts in words."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from slipway.config.models import HostEntry, Hosts
from slipway.engine.steps import Probe
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Privilege
from slipway.hosts.preflight import MAX_CLOCK_SKEW, MIN_FREE_DISK, find_problems
from slipway.hosts.ssh.command_line import AS_USER, command_line
from slipway.hosts.ssh.host import SshHost
from slipway.hosts.ssh.remote_scripts import as_job
from slipway.installers.docker import proxy_differs, proxy_file

PASSWORD = "a'b\"$c \\"
FIT = Facts(
    kernel="Linux", arch="x86_64", uid=1000, user="deploy", sudo="password", disk=10 * MIN_FREE_DISK, systemd=True
)


def ssh(facts: Facts = FIT, proxy: str | None = None) -> SshHost:
    host = SshHost("box", Hosts(hosts={"box": HostEntry(address="192.0.2.1", proxy=proxy)}), lambda *_: PASSWORD)
    host.probe = Probe(lambda: facts)
    host._sudo_password = PASSWORD  # as if it had been tried
    return host


def test_the_sudo_password_and_the_environment_are_on_standard_input_and_never_in_the_line() -> None:
    command = Command(("apt-get", "install", "x y"), env={"TOKEN": "s3cr3t"}, privilege=Privilege.ROOT)
    host = ssh()
    head, line = command_line(command, host._escalation(command.privilege), host._proxy_env)
    assert head == f"{PASSWORD}\nTOKEN=s3cr3t\n".encode()
    words = shlex.split(line)
    assert not [word for word in words if "s3cr3t" in word or PASSWORD in word or PASSWORD[:3] in word]
    assert words[:4] == ["exec", "sudo", "-k", "-S"]
    assert words[-1] == "x y"


@pytest.mark.parametrize(("changes", "words"), [({"uid": 0}, False), ({"sudo": "nopasswd"}, True)])
def test_root_needs_no_sudo_and_sudo_without_a_password_is_given_none(changes: dict[str, object], words: bool) -> None:
    host = ssh(replace(FIT, **changes))  # type: ignore[arg-type]
    head, line = command_line(Command(("true",)), host._escalation(Privilege.ROOT), host._proxy_env)
    assert (head, "sudo -n" in line) == (b"", words)


def test_a_proxy_is_in_every_commands_environment() -> None:
    head, line = command_line(Command(("true",)), AS_USER, ssh(proxy="http://user:pass@proxy:3128")._proxy_env)
    assert b"https_proxy=http://user:pass@proxy:3128\n" in head
    assert b"NO_PROXY=localhost,127.0.0.1," in head
    assert "pass@" not in line


def test_dockerds_proxy_is_wanted_as_it_is_and_nothing_else() -> None:
    path, text = proxy_file("http://proxy:3128")
    assert 'Environment="HTTPS_PROXY=http://proxy:3128"' in text
    assert proxy_differs(replace(FIT, docker_proxy=(path,)), "http://proxy:3128") is None
    assert proxy_differs(replace(FIT, docker_proxy=(path,)), "http://other:3128") is not None
    assert proxy_differs(FIT, "http://proxy:3128") is not None


def test_a_job_is_named_by_what_it_does() -> None:
    one = Command(("apt-get", "install", "x"), resumable=True)
    assert as_job(one).argv[4] == as_job(replace(one, timeout=5)).argv[4]
    assert as_job(one).argv[4] != as_job(replace(one, argv=("apt-get", "install", "y"))).argv[4]
    assert as_job(one).argv[5:] == one.argv


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"kernel": "Darwin"}, "runs Darwin, not Linux"),
        ({"sudo": ""}, "has no sudo"),
        ({"sudo": "", "uid": 0}, ""),
        ({"noexec": True}, "noexec"),
        ({"disk": MIN_FREE_DISK - 1}, "no space left"),
        ({"skew": MAX_CLOCK_SKEW + 1.0}, "ahead"),
        ({"skew": -MAX_CLOCK_SKEW - 1.0}, "behind"),
        ({"skew": MAX_CLOCK_SKEW - 1.0}, ""),
    ],
)
def test_what_keeps_a_host_from_being_prepared(changes: dict[str, object], words: str) -> None:
    found = [str(problem) for problem in find_problems("box", replace(FIT, **changes))]  # type: ignore[arg-type]
    assert bool(found) == bool(words), found
    assert all(words in text and "hint:" in text for text in found)


def test_a_host_without_sudo_says_so_when_root_is_needed() -> None:
    host = ssh(replace(FIT, sudo=""))
    host._sudo_password = None
    with pytest.raises(Problem, match="no sudo") as raised:
        host._escalation(Privilege.ROOT)
    assert isinstance(raised.value, UsageError)
