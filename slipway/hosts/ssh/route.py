"""The way to a host: itself and its jump hosts, those of hosts.yaml and those that ssh's configuration adds.

All that is read before connecting is read here, from ssh's files and by its programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.config.models import Hosts
from slipway.config.paths import expand_user
from slipway.config.ssh_destination import Destination, parse_destination
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError
from slipway.hosts.ssh import known_hosts, openssh, ssh_config
from slipway.hosts.ssh.known_hosts import KnownHosts
from slipway.hosts.ssh.known_hosts_file import note_once
from slipway.hosts.ssh.ssh_config import SshConfig


@dataclass(frozen=True)
class HopSettings:
    """One SSH server on the way, by its name in hosts.yaml or ~/.ssh/config, with the host keys known for it.

    `key` is the only private key to try.
    """

    name: str
    config: SshConfig
    known: KnownHosts
    key: Path | None = None


def route(name: str, hosts: Hosts, report: Reporter) -> list[HopSettings]:
    """The servers to log in to, one behind the other: the nearest first, the host itself last.

    `report` is told what the files of ssh have that is ignored. Raises UsageError for files that can't be read.
    """
    if not openssh.installed():
        note_once(report.note, openssh.MISSING)
    names = [name]
    while jump := _jump(names[-1], hosts):
        if jump in names:
            loop, hint = " → ".join((*names, jump)), "remove one `jump` from hosts.yaml"
            raise UsageError(f"{name}: its jump hosts form a loop", details=loop, hint=hint)
        names.append(jump)
    hops = [_hop(one, hosts, report) for one in reversed(names)]
    return [*_proxy_jumps(hops[0].config, hosts, (_destination(names[-1], hosts),), report), *hops]


def _jump(name: str, hosts: Hosts) -> str | None:
    entry = hosts.hosts.get(name)
    return entry.jump if entry else None


def _hop(name: str, hosts: Hosts, report: Reporter) -> HopSettings:
    """A host of hosts.yaml, or one that only ~/.ssh/config knows."""
    entry = hosts.hosts.get(name)
    key = expand_user(entry.key) if entry and entry.key else None
    config = ssh_config.read(_destination(name, hosts), report.cancel)
    return HopSettings(name, config, known_hosts.read(config, hosts, report), key)


def _destination(name: str, hosts: Hosts) -> Destination:
    entry = hosts.hosts.get(name)
    return entry.destination if entry else _parsed(name)


def _proxy_jumps(
    config: SshConfig, hosts: Hosts, behind: tuple[Destination, ...], report: Reporter
) -> list[HopSettings]:
    """The hosts of a ProxyJump as ssh passes them (ssh.c runs `ssh -J a -W … b` for `a,b`).

    The first is reached as its own configuration says; each other one through the one before it. A jump host that
    leads to itself would have ssh start itself again and again; `behind` are those whose way this is.
    """
    hops: list[HopSettings] = []
    for jump in map(_parsed, config.proxy_jump):
        if jump in behind:
            loop = " → ".join(one.host for one in (*behind, jump))
            hint = f"add `ProxyJump none` to `Host {jump.host}` in ~/.ssh/config"
            raise UsageError(f"{behind[0].host}: its jump hosts form a loop", details=loop, hint=hint)
        found = ssh_config.read(jump, report.cancel)
        if not hops:
            hops += _proxy_jumps(found, hosts, (*behind, jump), report)
        hops.append(HopSettings(found.original, found, known_hosts.read(found, hosts, report)))
    return hops


def _parsed(text: str) -> Destination:
    try:
        return parse_destination(text)
    except ValueError as error:
        raise UsageError(
            f"invalid jump host: {text}", details=str(error), hint="correct it in ~/.ssh/config"
        ) from error
