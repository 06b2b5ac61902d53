"""Whether a host can be prepared at all: faults that no step mends, each with its cause and its fix."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts

SKEW = 120  # seconds that a clock may be wrong: beyond, apt's and TLS's dates are refused
ROOM = 2**30  # bytes that packages and images need at the least


def fit(name: str, facts: Facts) -> None:
    """Raise the first of a host's faults."""
    for problem in faults(name, facts):
        raise problem


def faults(name: str, facts: Facts) -> Iterator[Problem]:
    """What keeps a host from being prepared."""
    if facts.kernel != "Linux":
        hint = "hosts are Linux machines; name another"
        yield UsageError(f"{name} runs {facts.kernel}, not Linux", hint=hint)
        return
    if not facts.root and not facts.sudo:
        hint = f"install sudo there and allow {facts.user} to use it, or log in as root"
        yield UsageError(f"{name} has no sudo, and {facts.user} is not root", hint=hint)
    if facts.noexec:
        hint = "mount -o remount,exec /tmp, and in /etc/fstab"
        yield UsageError(f"{name}: /tmp is mounted noexec, where package scripts run", hint=hint)
    if facts.disk < ROOM:
        details = f"{facts.disk / 2**20:.0f} MiB free under / or /var/lib, {ROOM / 2**20:.0f} MiB wanted at the least"
        hint = f"make room there: ssh {name} df -h; du -xh / | sort -h | tail"
        yield UsageError(f"{name} has no space left", details=details, hint=hint)
    if abs(facts.skew) > SKEW:
        way = "ahead" if facts.skew > 0 else "behind"
        details = (
            f"its clock is {abs(facts.skew):.0f} s {way} of this machine's; certificates and package lists have dates"
        )
        hint = "set it there: timedatectl set-ntp true"
        yield UsageError(f"{name}: the clock is wrong", details=details, hint=hint)
