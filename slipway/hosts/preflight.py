"""Whether a host can be prepared at all: problems that no step can fix, each with its cause and its fix."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts

MAX_CLOCK_SKEW = 120  # seconds; beyond it apt and TLS refuse the dates of package lists and certificates
MIN_FREE_DISK = 2**30  # bytes for packages and images


def require_preparable(name: str, facts: Facts) -> None:
    """Raise UsageError for the first problem of a host."""
    for problem in find_problems(name, facts):
        raise problem


def find_problems(name: str, facts: Facts) -> Iterator[Problem]:
    """What prevents a host from being prepared."""
    if facts.kernel != "Linux":
        hint = "hosts must run Linux; choose another one"
        yield UsageError(f"{name} runs {facts.kernel}, not Linux", hint=hint)
        return
    if not facts.root and not facts.sudo:
        yield no_sudo(name, facts)
    if facts.noexec:
        hint = "mount -o remount,exec /tmp, and remove noexec from /etc/fstab"
        yield UsageError(f"{name}: /tmp is mounted noexec, but package scripts run there", hint=hint)
    if facts.disk < MIN_FREE_DISK:
        free, minimum = facts.disk / 2**20, MIN_FREE_DISK / 2**20
        details = f"{free:.0f} MiB free under / or /var/lib; at least {minimum:.0f} MiB are needed"
        hint = f"free some space: ssh {name} df -h; du -xh / | sort -h | tail"
        yield UsageError(f"{name} has no space left", details=details, hint=hint)
    if abs(facts.skew) > MAX_CLOCK_SKEW:
        direction = "ahead of" if facts.skew > 0 else "behind"
        details = (
            f"its clock is {abs(facts.skew):.0f} s {direction} this machine's; "
            "certificates and package lists are valid only between their dates"
        )
        hint = f"set it: ssh {name} sudo timedatectl set-ntp true"
        yield UsageError(f"{name}: the clock is wrong", details=details, hint=hint)


def no_sudo(name: str, facts: Facts) -> UsageError:
    """The user of a host is not root and cannot become root."""
    hint = f"install sudo there and allow {facts.user} to use it, or log in as root"
    return UsageError(f"{name} has no sudo, and {facts.user} is not root", hint=hint)
