"""What Debian's apt knows of packages: questions to a host's own lists, and their answers read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from slipway.hosts.host import Command

EDGES = ("--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances")


def list_dependencies(roots: Sequence[str]) -> Command:
    """The command that lists packages and all that they depend on."""
    return Command(("apt-cache", "depends", "--recurse", *EDGES, *roots))


def parse_dependencies(listing: str) -> list[str]:
    """The packages of this machine's architecture in the answer of `list_dependencies`; virtual ones have no files."""
    return sorted(set(re.findall(r"^([a-z0-9][a-z0-9+.-]*)$", listing, re.MULTILINE)))


def show_records(names: Sequence[str]) -> Command:
    """The command that prints the records of packages."""
    return Command(("apt-cache", "show", "--no-all-versions", *names))


def parse_records(text: str) -> Iterator[dict[str, str]]:
    """The fields of each record in the answer of `show_records`."""
    for record in text.split("\n\n"):
        if fields := dict(re.findall(r"^([A-Z][A-Za-z-]*): (.+)$", record, re.MULTILINE)):
            yield fields


def simulate_install(wanted: Sequence[str]) -> Command:
    """The command by which apt plans an installation of packages, or patterns of them, on a machine that has none."""
    empty = ("-o", "Dir::State::status=/dev/null")
    return Command(("apt-get", "--simulate", "-q", "--no-install-recommends", *empty, "install", *wanted))


def parse_simulation(output: str) -> set[str]:
    """The packages of the plan that `simulate_install` answers."""
    return set(re.findall(r"^Inst (\S+) ", output, re.MULTILINE))


def download(names: Sequence[str], folder: str) -> Command:
    """The command that fetches packages into a folder, checked against apt's signed lists."""
    return Command(("apt-get", "download", "-q", *names), cwd=folder, timeout=1800, idle=600)
