"""The distribution's packages: installed by its package manager, whose lock is waited for and whose output is shown."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.engine.reporter import Reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Host, Privilege, Result

UPLOADS = "/var/cache/slipway/packages"
LOCK_WAIT = 300  # seconds to wait for another package manager
POLL = 2.0  # seconds between two attempts where apt itself does not wait: for its lists and archives
TESTED = frozenset({("debian", "12"), ("debian", "13")})
FAILED_HINT = "check the machine's package sources"


def names_for(packages: Mapping[str, Sequence[str]], facts: Facts) -> tuple[str, ...] | None:
    """A tool's packages on this system: by release (`debian-12`), else by family; None where none are configured."""
    for key in (f"{facts.family}-{facts.version}", facts.family):
        if key in packages:
            return tuple(packages[key])
    return None


def is_tested(facts: Facts) -> bool:
    """Whether Slipway's own tests run on this system."""
    return (facts.system, facts.version) in TESTED


def install_commands(names: Sequence[str], facts: Facts) -> list[Command]:
    """The commands that install packages on this system. Raises UsageError where no package manager is known."""
    if "apt-get" in facts.has:
        env = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        wait = ("-o", f"DPkg::Lock::Timeout={LOCK_WAIT}")
        flags = (*wait, "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold")
        argvs = (("apt-get", *wait, "-q", "update"), ("apt-get", *flags, "install", *names))
        return [Command(argv, env=env, privilege=Privilege.ROOT, timeout=1800, resumable=True) for argv in argvs]
    manager = next((name for name in ("dnf", "yum") if name in facts.has), None)
    if manager:
        return [Command((manager, "install", "-y", *names), privilege=Privilege.ROOT, timeout=1800, resumable=True)]
    raise UsageError(
        f"{facts.system or facts.kernel} has no package manager that Slipway supports",
        hint=f"install {' '.join(names)} by hand, then run the same command again",
    )


def install(host: Host, names: Sequence[str], report: Reporter) -> None:
    """Install packages. Raises Problem with the package manager's output."""
    facts = host.probe.facts()
    if not is_tested(facts):
        report.note(f"{facts.system} {facts.version}: expected to work, not tested here")
    _run(host, install_commands(names, facts), " ".join(names), report)


def install_files(host: Host, files: Sequence[Path], report: Reporter) -> None:
    """Install packages that are files of this machine, without updating any list. Raises Problem as `install` does."""
    uploads = [f"{UPLOADS}/{file.name}" for file in files]
    for file, upload in zip(files, uploads, strict=True):
        host.upload(file, upload, 0o644, Privilege.ROOT, report)
    _run(host, install_commands(uploads, host.probe.facts())[-1:], "the bundle's packages", report)
    host.run(Command(("rm", "-rf", UPLOADS), privilege=Privilege.ROOT, timeout=30), report)


def _run(host: Host, commands: Sequence[Command], what: str, report: Reporter) -> None:
    for command in commands:
        result = _run_with_lock(host, command, report)
        updating = command.argv[-1] == "update"
        if not updating:  # one broken third-party source must not stop an installation from the others
            result.raise_for_status(f"{what} could not be installed", FAILED_HINT)


def _run_with_lock(host: Host, command: Command, report: Reporter) -> Result:
    """Run it, again while another program locks apt's lists: DPkg::Lock::Timeout is for dpkg's own locks alone."""
    deadline, reported = time.monotonic() + LOCK_WAIT, ""
    while True:
        result = host.run(command, report)
        stderr = result.stderr.decode(errors="replace")
        holder = lock_holder(stderr) if result.exit_code else ""
        if not holder:
            return result
        if time.monotonic() >= deadline:
            hint = "wait until it has finished, then run the same command again"
            raise Problem(f"{holder} holds the package manager's lock", details=stderr, hint=hint)
        if holder != reported:
            report.waiting_for(f"{holder}, which holds the package manager's lock")
            reported = holder
        report.cancel.wait(POLL)


def lock_holder(stderr: str) -> str:
    """Who holds the lock that apt could not get; empty where apt failed for another reason.

    Only its last errors count: before them it also reports a lock that it waited for and then got.
    """
    *before, last = [line for line in stderr.splitlines() if line.startswith("E: ")][-2:] or [""]
    if not re.match(r"E: (Could not get lock|Unable to (lock|acquire))", last):
        return ""
    found = re.search(r"held by (process \d+ \([^)]*\))", " ".join((*before, last)))
    return found[1] if found else "another program"
