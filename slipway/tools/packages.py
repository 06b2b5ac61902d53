"""The distribution's packages: installing some, with its lock waited for and its words shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.errors import ExitCode, Problem
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Host, Privilege
from slipway.steps import Say

BROUGHT = "/var/cache/slipway/packages"
LOCK_WAIT = 300  # seconds that apt waits for another package manager, saying so
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
        return [Command(one, env=env, privilege=Privilege.ROOT, timeout=1800, lasting=True) for one in words]
    manager = next((name for name in ("dnf", "yum") if name in facts.has), None)
    if manager:
        return [Command((manager, "install", "-y", *names), privilege=Privilege.ROOT, timeout=1800, lasting=True)]
    raise Problem(
        f"{facts.system or facts.kernel} has no package manager that Slipway knows",
        fix=f"install {' '.join(names)} by hand, then run the same command again",
        code=ExitCode.USAGE,
    )


def brought(host: Host, files: Sequence[Path], say: Say) -> None:
    """Install packages that are files here, with no list updated; raises Problem as `add` does."""
    places = [f"{BROUGHT}/{file.name}" for file in files]
    for file, place in zip(files, places, strict=True):
        host.send(file, place, 0o644, Privilege.ROOT, say)
    _run(host, install(places, host.probe.facts())[-1:], "the bundle's packages", say)
    host.run(Command(("rm", "-rf", BROUGHT), privilege=Privilege.ROOT, timeout=30), say)


def add(host: Host, names: Sequence[str], say: Say) -> None:
    """Install packages; raises Problem with the package manager's words."""
    facts = host.probe.facts()
    if not supported(facts):
        say.note(f"{facts.system} {facts.version}: expected to work, not tested here")
    _run(host, install(names, facts), " ".join(names), say)


def _run(host: Host, commands: Sequence[Command], what: str, say: Say) -> None:
    for command in commands:
        done = host.run(command, say)
        text = done.stderr.decode(errors="replace")
        if "Could not get lock" in text and done.exit:
            fix = "wait for it to end, then run the same command again"
            raise Problem("another program holds the package manager's lock", why=text, fix=fix)
        updating = command.argv[-1] == "update"
        if not updating:  # a broken third-party source must not stop what the others have
            done.checked(f"{what} could not be installed", "check the machine's package sources")
