"""The way to a host: itself and its jump hosts, those of hosts.yaml and those that ssh's configuration adds.

All that is read before connecting is read here, from ssh's files and by its programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.config.models import Hosts
from slipway.config.paths import expand_user
from slipway.config.ssh_destination import Destination, parse_destination
from slipway.errors import UsageError
from slipway.hosts.ssh import known_hosts, ssh_config
from slipway.hosts.ssh.known_hosts import KnownHosts, Note
from slipway.hosts.ssh.ssh_config import SshConfig

Server = tuple[str, SshConfig, Path | None]  # what it is called, its settings, the only private key to try


@dataclass(frozen=True)
class Stop:
    """One SSH server on the way, by its name in hosts.yaml or ~/.ssh/config, with the host keys known for it.

    `key` is the only private key to try.
    """

    name: str
    config: SshConfig
    key: Path | None
    known: KnownHosts


def ignore(_: str) -> None:
    """A `Note` that discards its text."""


def route(name: str, hosts: Hosts, note: Note = ignore) -> list[Stop]:
    """The servers to log in to, one behind the other: the nearest first, the host itself last.

    `note` is told what the files of ssh have that is ignored. Raises UsageError for files that can't be read.
    """
    if not ssh_config.openssh():
        known_hosts.note_once(note, ssh_config.NO_OPENSSH)
    names = [name]
    while jump := _jump(names[-1], hosts):
        if jump in names:
            loop, hint = " → ".join((*names, jump)), "remove one `jump` from hosts.yaml"
            raise UsageError(f"{name}: its jump hosts form a loop", details=loop, hint=hint)
        names.append(jump)
    servers = [_server(one, hosts) for one in reversed(names)]
    _, nearest, _ = servers[0]
    servers = [*_jumps(nearest, (_destination(names[-1], hosts),)), *servers]
    return [Stop(name, config, key, known_hosts.read(config, hosts, note)) for name, config, key in servers]


def _jump(name: str, hosts: Hosts) -> str | None:
    entry = hosts.hosts.get(name)
    return entry.jump if entry else None


def _server(name: str, hosts: Hosts) -> Server:
    """A host of hosts.yaml, or one that only ~/.ssh/config knows."""
    entry = hosts.hosts.get(name)
    key = expand_user(entry.key) if entry and entry.key else None
    return name, ssh_config.read(_destination(name, hosts)), key


def _destination(name: str, hosts: Hosts) -> Destination:
    entry = hosts.hosts.get(name)
    return entry.destination if entry else _parsed(name)


def _jumps(config: SshConfig, behind: tuple[Destination, ...]) -> list[Server]:
    """The hosts of a ProxyJump as ssh passes them (ssh.c runs `ssh -J a -W … b` for `a,b`).

    The first is reached as its own configuration says; each other one through the one before it. A jump host that
    leads to itself would have ssh start itself again and again; `behind` are those whose way this is.
    """
    servers: list[Server] = []
    for hop in map(_parsed, config.proxy_jump):
        if hop in behind:
            loop = " → ".join(one.host for one in (*behind, hop))
            hint = f"add `ProxyJump none` to `Host {hop.host}` in ~/.ssh/config"
            raise UsageError(f"{behind[0].host}: its jump hosts form a loop", details=loop, hint=hint)
        found = ssh_config.read(hop)
        if not servers:
            servers += _jumps(found, (*behind, hop))
        servers.append((found.original, found, None))
    return servers


def _parsed(text: str) -> Destination:
    try:
        return parse_destination(text)
    except ValueError as error:
        raise UsageError(
            f"invalid jump host: {text}", details=str(error), hint="correct it in ~/.ssh/config"
        ) from error
