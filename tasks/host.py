"""Commands for SSH hosts: check them, show their facts, record their keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.task import command

if TYPE_CHECKING:
    from slipway.errors import Problem
    from slipway.hosts.facts import Facts
    from tasks.invocation import Invocation

HOSTS = "hosts of hosts.yaml, separated by commas; default: the environment's, or all"


def read_facts(invocation: Invocation, text: str) -> dict[str, Facts | Problem]:
    """The facts of each host, or why they can't be read; all hosts at once."""
    from slipway.engine.threads import Threads
    from slipway.errors import Problem

    def read(name: str) -> Facts | Problem:
        try:
            return invocation.ssh(name).probe.facts()
        except Problem as problem:
            return problem

    names = invocation.host_names(text)
    for name in names:
        invocation.ssh(name)
    threads = Threads(invocation.hosts.at_once)
    futures = {name: threads.submit(read, name) for name in names}
    return {name: future.result() for name, future in futures.items()}


def print_problems(invocation: Invocation, name: str, problems: list[Problem]) -> None:
    """Print the problems of a host, each with its hint."""
    for problem in problems:
        first, *rest = invocation.hints.explain(problem).splitlines()
        invocation.session.print(f"{name}  BAD  {first}")
        for line in rest:
            invocation.session.print(f"    {line}")


@command(host=HOSTS)
def check(invocation: Invocation, host: str = "") -> None:
    """Connect to hosts and list what prevents them from being prepared, changing nothing.

    Examples:
      ./invoke host.check
      ./invoke host.check --host box1,box2

    """
    from invoke import Exit

    from slipway.engine.reporter import null_reporter
    from slipway.errors import Problem
    from slipway.hosts.host import Command, Privilege
    from slipway.hosts.preflight import find_problems
    from tasks import exit_codes

    bad: list[Problem] = []
    rows = []
    for name, found in read_facts(invocation, host).items():
        if isinstance(found, Problem):
            problems = [found]
        else:
            problems = list(find_problems(name, found))
            if found.sudo == "password" and not problems:
                try:
                    root = Command(("true",), privilege=Privilege.ROOT, timeout=30)
                    invocation.ssh(name).run(root, null_reporter(invocation.cancel))
                except Problem as problem:
                    problems.append(problem)
            if not problems:
                invocation.session.print(f"{name}  ok   {found.system} {found.version}, {found.arch}, as {found.user}")
                if unreachable := [upstream for upstream, answers in found.reach.items() if not answers]:
                    late = f"no answer within 0.1 s from {', '.join(unreachable)}"
                    invocation.session.print(f"    {late}; without internet access, use --bundle D")
        print_problems(invocation, name, problems)
        bad += problems
        rows.append(
            {"name": name, "ok": not problems, "problems": [invocation.hints.explain(problem) for problem in problems]}
        )
    if invocation.session.machine_readable:
        invocation.session.print_json({"hosts": rows})
    if bad:
        raise Exit(code=int(exit_codes.of_problems(bad)))


@command(host=HOSTS)
def facts(invocation: Invocation, host: str = "") -> None:
    """Show the facts of each host.

    Examples:
      ./invoke host.facts --host box1
      ./invoke host.facts --output json

    """
    from dataclasses import asdict

    from invoke import Exit

    from slipway.errors import Problem
    from tasks import exit_codes

    found = read_facts(invocation, host)
    if invocation.session.machine_readable:
        rows = [
            {"name": name, "error": invocation.hints.explain(one)}
            if isinstance(one, Problem)
            else {"name": name, **asdict(one)}
            for name, one in found.items()
        ]
        invocation.session.print_json({"hosts": rows})
    for name, one in found.items():
        if isinstance(one, Problem):
            print_problems(invocation, name, [one])
            continue
        for key, value in asdict(one).items():
            if value not in ("", (), {}, None):
                invocation.session.print(f"{name}  {key:16} {value if isinstance(value, str) else json.dumps(value)}")
    codes = {exit_codes.of_problem(one) for one in found.values() if isinstance(one, Problem)}
    if codes:
        raise Exit(code=int(max(codes)))


@command(changes=True, host=HOSTS)
def trust(invocation: Invocation, host: str = "") -> None:
    """Show a host's key and record it in known_hosts, so that connections to it can be verified.

    Compare the fingerprint with the host's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub

    Examples:
      ./invoke host.trust --host box1
      ./invoke host.trust --host box1 --yes      without a prompt, if the fingerprint was compared before

    """
    for name in invocation.host_names(host):
        confirmed = bool(invocation.flags["yes"])  # for one key, the one that was shown before
        while not _record(invocation, name, confirmed=confirmed):
            confirmed = False


def _record(invocation: Invocation, name: str, *, confirmed: bool) -> bool:
    """Record the key of a host, or of the first unknown jump host before it; returns whether it was the host's."""
    from slipway.hosts.ssh import trust

    secret = invocation.passwords.secret
    presented = trust.presented_key(name, invocation.hosts, secret, invocation.reporter())
    key = presented.key
    way = "" if presented.hop == name else f", on the way to {name}"
    invocation.session.print(f"{presented.hop}{way}  {presented.lookup_name}  {key.get_name()}  {key.fingerprint}")
    if presented.known:
        invocation.session.print(f"{presented.hop}  is already known")
        return True
    if invocation.plan:
        invocation.session.print(f"{presented.hop}  would be recorded in {presented.file}")
        return True
    if not confirmed and (invocation.no_prompt_reason() or not _confirmed(invocation, presented.hop)):
        from slipway.errors import UsageError

        hint = f"compare the fingerprint, then ./invoke host.trust --host {name} --yes"
        raise UsageError(f"{presented.hop}: its host key was not recorded", hint=hint)
    trust.record_key(presented)
    invocation.session.print(f"{presented.hop}  recorded in {presented.file}")
    return presented.hop == name


def _confirmed(invocation: Invocation, name: str) -> bool:
    from tasks.passwords import prompt

    answer = prompt(f"is this {name}'s fingerprint? [yes/no] ", invocation.cancel, echo=True)
    return answer.strip().lower() == "yes"
