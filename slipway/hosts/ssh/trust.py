"""The keys that hosts present, for a person to compare and record."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from paramiko import PKey

from slipway.config.models import Hosts
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError
from slipway.hosts.ssh import known_hosts
from slipway.hosts.ssh.connection import AskSecret, VerifyKnownKey, close, closed_on_failure, hops_to, open_hop
from slipway.hosts.ssh.hop import HostKeyRejected, translated_errors
from slipway.hosts.ssh.known_hosts import KeyStatus
from slipway.hosts.ssh.route import route


@dataclass(frozen=True)
class PresentedKey:
    """The key that a host, or a jump host before it, presents; it is recorded as `lookup_name` in `file`."""

    hop: str
    lookup_name: str
    key: PKey
    known: bool
    file: Path


class RejectEveryKey(VerifyKnownKey):
    """Reads a host's key without logging in."""

    def accepts(self, status: KeyStatus) -> bool:  # noqa: ARG002  a fixed signature
        """No key is accepted: it was only to be read."""
        return False


def presented_key(name: str, hosts: Hosts, ask: AskSecret, report: Reporter) -> PresentedKey:
    """The key of a host, or of the first jump host before it whose key is unknown.

    There is no login where the key is read. Raises HostUnreachable, or Unreachable for a changed or revoked key.
    """
    hops = hops_to(route(name, hosts, report), report.cancel)
    hops[-1].connection.client.set_missing_host_key_policy(RejectEveryKey(hops[-1].known, report.cancel))
    with closed_on_failure(hops, report.cancel):
        for hop in hops:
            with translated_errors(hop):
                try:
                    open_hop(hop, ask, report)
                except HostKeyRejected as rejected:
                    if rejected.status in {KeyStatus.CHANGED, KeyStatus.REVOKED}:
                        raise
                    close(hops[-1].connection)
                    known_already = rejected.status is KeyStatus.KNOWN
                    file = known_hosts.files(hop.config, hosts)[0]
                    return PresentedKey(hop.name, rejected.known.lookup_name, rejected.key, known_already, file)
    raise AssertionError  # pragma: no cover  the last hop's key is rejected


def record_key(presented: PresentedKey) -> None:
    """Append a key to its known_hosts file. Raises UsageError if that can't be written."""
    file, key = presented.file, presented.key
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+", errors="replace") as recorded:
            text = recorded.read()
            line = f"{presented.lookup_name} {key.get_name()} {key.get_base64()}\n"
            recorded.write(line if not text or text.endswith("\n") else f"\n{line}")
    except OSError as error:
        hint = "free some space, or check its permissions; `known_hosts` in hosts.yaml configures another file"
        raise UsageError(f"{file} can't be written", details=str(error), hint=hint) from error
