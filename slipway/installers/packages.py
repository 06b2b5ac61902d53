"""The distribution's packages: installing some, with its lock waited for and its words shown."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.engine.steps import Reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Host, Privilege, Result

BROUGHT = "/var/cache/slipway/packages"
LOCK_WAIT = 300  # seconds that apt waits for another package manager, saying so
POLL = 2.0  # seconds between two tries where apt itself does not wait: for its lists and archives
TESTED = frozenset({("debian", "12"), ("debian", "13")})


def named(packages: Mapping[str, Sequence[str]], facts: Facts) -> tuple[str, ...] | None:
    """What a tool is called on this system: by release (`debian-12`), else by family; None where nobody wrote it."""
    for key in (f"{facts.family}-{facts.version}", facts.family):
        if key in packages:
            return tuple(packages[key])
    return None


def supported(facts: Facts) -> bool:
    """Whether Slipway's own tests run on this system."""
    return (facts.system, facts.version) in TESTED


def install(names: Sequence[str], facts: Facts) -> list[Command]:
    """The commands that install packages on this system. Raises Problem where no package manager is known."""
    if "apt-get" in facts.has:
        env = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        wait = ("-o", f"DPkg::Lock::Timeout={LOCK_WAIT}")
        flags = (*wait, "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold")
        words = (("apt-get", *wait, "-q", "update"), ("apt-get", *flags, "install", *names))
        return [Command(one, env=env, privilege=Privilege.ROOT, timeout=1800, resumable=True) for one in words]
    manager = next((name for name in ("dnf", "yum") if name in facts.has), None)
    if manager:
        return [Command((manager, "install", "-y", *names), privilege=Privilege.ROOT, timeout=1800, resumable=True)]
    raise UsageError(
        f"{facts.system or facts.kernel} has no package manager that Slipway knows",
        hint=f"install {' '.join(names)} by hand, then run the same command again",
    )


def brought(host: Host, files: Sequence[Path], report: Reporter) -> None:
    """Install packages that are files here, with no list updated; raises Problem as `add` does."""
    places = [f"{BROUGHT}/{file.name}" for file in files]
    for file, place in zip(files, places, strict=True):
        host.upload(file, place, 0o644, Privilege.ROOT, report)
    _run(host, install(places, host.probe.facts())[-1:], "the bundle's packages", report)
    host.run(Command(("rm", "-rf", BROUGHT), privilege=Privilege.ROOT, timeout=30), report)


def add(host: Host, names: Sequence[str], report: Reporter) -> None:
    """Install packages; raises Problem with the package manager's words."""
    facts = host.probe.facts()
    if not supported(facts):
        report.note(f"{facts.system} {facts.version}: expected to work, not tested here")
    _run(host, install(names, facts), " ".join(names), report)


def _alone(host: Host, command: Command, report: Reporter) -> Result:
    """Run it, again while another program has apt's lists: DPkg::Lock::Timeout is for dpkg's own locks alone."""
    until, said = time.monotonic() + LOCK_WAIT, ""
    while True:
        done = host.run(command, report)
        holder = locked(done.stderr.decode(errors="replace")) if done.exit_code else ""
        if not holder:
            return done
        if time.monotonic() >= until:
            hint = "wait for it to end, then run the same command again"
            details = done.stderr.decode(errors="replace")
            raise Problem(f"{holder} holds the package manager's lock", details=details, hint=hint)
        if holder != said:
            report.note(f"waits for {holder}, which holds the package manager's lock")
            said = holder
        report.cancel.wait(POLL)


def locked(stderr: str) -> str:
    """Who holds the lock that an apt which failed could not get; empty where it failed of something else.

    Only its last errors count: a lock that was waited for and then had is told of before them.
    """
    *before, last = [line for line in stderr.splitlines() if line.startswith("E: ")][-2:] or [""]
    if not re.match(r"E: (Could not get lock|Unable to (lock|acquire))", last):
        return ""
    found = re.search(r"held by (process \d+ \([^)]*\))", " ".join((*before, last)))
    return found[1] if found else "another program"


def _run(host: Host, commands: Sequence[Command], summary: str, report: Reporter) -> None:
    for command in commands:
        done = _alone(host, command, report)
        updating = command.argv[-1] == "update"
        if not updating:  # a broken third-party source must not stop what the others have
            done.raise_for_status(f"{summary} could not be installed", "check the machine's package sources")
