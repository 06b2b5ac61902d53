"""Commands of Debian's apt, and parsers of their output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from slipway.hosts.host import Command

ONLY_DEPENDS = ("--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances")


def list_dependencies(roots: Sequence[str]) -> Command:
    """List packages and their dependencies, recursively."""
    return Command(("apt-cache", "depends", "--recurse", *ONLY_DEPENDS, *roots))


def parse_dependencies(listing: str) -> list[str]:
    """The packages of this machine's architecture in the output of `list_dependencies`, without virtual ones."""
    return sorted(set(re.findall(r"^([a-z0-9][a-z0-9+.-]*)$", listing, re.MULTILINE)))


def show_records(names: Sequence[str]) -> Command:
    """Print the records of packages."""
    return Command(("apt-cache", "show", "--no-all-versions", *names))


def parse_records(text: str) -> Iterator[dict[str, str]]:
    """The fields of each record in the output of `show_records`."""
    for record in text.split("\n\n"):
        if fields := dict(re.findall(r"^([A-Z][A-Za-z-]*): (.+)$", record, re.MULTILINE)):
            yield fields


def simulate_install(wanted: Sequence[str]) -> Command:
    """Simulate the installation of packages, or patterns of them, on a machine that has no packages."""
    empty = ("-o", "Dir::State::status=/dev/null")
    return Command(("apt-get", "--simulate", "-q", "--no-install-recommends", *empty, "install", *wanted))


def parse_simulation(output: str) -> set[str]:
    """The packages in the output of `simulate_install`."""
    return set(re.findall(r"^Inst (\S+) ", output, re.MULTILINE))


def download(names: Sequence[str], folder: str) -> Command:
    """Download packages into a folder, verified against apt's signed lists."""
    return Command(("apt-get", "download", "-q", *names), cwd=folder, timeout=1800, idle=600)
