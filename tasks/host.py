"""SSH hosts by themselves: check them, show what they are, record their keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks import exit_codes
from tasks.task import verb

if TYPE_CHECKING:
    from slipway.errors import Problem
    from slipway.hosts.facts import Facts
    from tasks.invocation import Invocation

WHICH = "hosts of hosts.yaml, separated by commas; default: the environment's, or all"


def read(command: Invocation, text: str) -> dict[str, Facts | Problem]:
    """What each host is, or why it can't be told; all asked at once."""
    from slipway.engine.steps import Threads
    from slipway.errors import Problem

    def one(name: str) -> Facts | Problem:
        try:
            return command.ssh(name).probe.facts()
        except Problem as problem:
            return problem

    names = command.named(text)
    for name in names:
        command.ssh(name)
    threads = Threads(command.hosts.at_once)
    asked = {name: threads.submit(one, name) for name in names}
    return {name: answer.result() for name, answer in asked.items()}


def told(command: Invocation, name: str, problems: list[Problem]) -> None:
    """What is wrong with a host, each with its fix."""
    for problem in problems:
        first, *rest = str(problem).splitlines()
        command.session.print(f"{name}  BAD  {first}")
        for line in rest:
            command.session.print(f"    {line}")


@verb(host=WHICH)
def check(command: Invocation, host: str = "") -> None:
    """Reach hosts and say what keeps them from being prepared, changing nothing.

    Examples:
      ./invoke host.check
      ./invoke host.check --host box1,box2

    """
    from invoke import Exit

    from slipway.engine.steps import null_reporter
    from slipway.errors import Problem
    from slipway.hosts.host import Command, Privilege
    from slipway.hosts.preflight import find_problems

    bad: list[Problem] = []
    rows = []
    for name, found in read(command, host).items():
        if isinstance(found, Problem):
            problems = [found]
        else:
            problems = list(find_problems(name, found))
            if found.sudo == "password" and not problems:
                try:
                    root = Command(("true",), privilege=Privilege.ROOT, timeout=30)
                    command.ssh(name).run(root, null_reporter(command.cancel))
                except Problem as problem:
                    problems.append(problem)
            if not problems:
                command.session.print(f"{name}  ok   {found.system} {found.version}, {found.arch}, as {found.user}")
                if away := [upstream for upstream, answers in found.reach.items() if not answers]:
                    command.session.print(
                        f"    no answer at once from {', '.join(away)}: without internet, use --bundle D"
                    )
        told(command, name, problems)
        bad += problems
        rows.append({"name": name, "ok": not problems, "problems": [str(problem) for problem in problems]})
    if command.session.machine_readable:
        command.session.print_json({"hosts": rows})
    if bad:
        raise Exit(code=int(exit_codes.of_problems(bad)))


@verb(host=WHICH)
def facts(command: Invocation, host: str = "") -> None:
    """What one probe reads off each host.

    Examples:
      ./invoke host.facts --host box1
      ./invoke host.facts --output json

    """
    from dataclasses import asdict

    from invoke import Exit

    from slipway.errors import Problem

    found = read(command, host)
    if command.session.machine_readable:
        rows = [
            {"name": name, "error": str(one)} if isinstance(one, Problem) else {"name": name, **asdict(one)}
            for name, one in found.items()
        ]
        command.session.print_json({"hosts": rows})
    for name, one in found.items():
        if isinstance(one, Problem):
            told(command, name, [one])
            continue
        for key, value in asdict(one).items():
            if value not in ("", (), {}, None):
                command.session.print(f"{name}  {key:16} {value if isinstance(value, str) else json.dumps(value)}")
    codes = {exit_codes.of_problem(one) for one in found.values() if isinstance(one, Problem)}
    if codes:
        raise Exit(code=int(max(codes)))


@verb(changes=True, host=WHICH)
def trust(command: Invocation, host: str = "") -> None:
    """Show a host's key and record it among the known ones, so that its connections can be verified.

    Compare the fingerprint with the host's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub

    Examples:
      ./invoke host.trust --host box1
      ./invoke host.trust --host box1 --yes      without a question, where the fingerprint was compared before

    """
    for name in command.named(host):
        agreed = bool(command.flags["yes"])  # to one key, the one that was shown before
        while not _trusted(command, name, agreed=agreed):
            agreed = False


def _trusted(command: Invocation, name: str, *, agreed: bool) -> bool:
    """Record the key of a host, or of the first hop before it that is unknown, once agreed; whether that is all."""
    from slipway.hosts.ssh import trust
    from slipway.hosts.ssh.connection import known_hosts_file

    hosts = command.hosts
    found = trust.presented_key(name, hosts, command.passwords.secret, command.cancel)
    way = "" if found.hop == name else f", on the way to {name}"
    command.session.print(f"{found.hop}{way}  {found.lookup_name}  {found.key.get_name()}  {found.key.fingerprint}")
    if found.known:
        command.session.print(f"{found.hop}  is known already")
        return True
    if command.plan:
        command.session.print(f"{found.hop}  would be recorded in {known_hosts_file(hosts)}")
        return True
    if not agreed and (command.unasked or not _agreed(command, found.hop)):
        from slipway.errors import UsageError

        hint = f"compare the fingerprint, then ./invoke host.trust --host {name} --yes"
        raise UsageError(f"{found.hop}: its key was not recorded", hint=hint)
    command.session.print(f"{found.hop}  recorded in {trust.record_key(found.lookup_name, found.key, hosts)}")
    return found.hop == name


def _agreed(command: Invocation, name: str) -> bool:
    from tasks.passwords import typed

    answer = typed(f"is this {name}'s fingerprint? [yes/no] ", command.cancel, echo=True)
    return answer.strip().lower() == "yes"
