"""A login by the real ssh and by Slipway with the same configuration, and what each leaves behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from slipway.config.models import Hosts
from slipway.engine.reporter import Reporter
from slipway.errors import Unreachable
from slipway.hosts.ssh import connection
from slipway.hosts.ssh.authentication import AskSecret
from tests.unit.hosts.ssh.sshd import Sshd, connect


def offered_by_ssh(home: Path, server: Sshd, secret: str) -> tuple[list[bytes], bool]:
    """The keys that the real client offers, and whether it logs in; whatever it asks for is `secret`."""
    server.offered.clear()
    askpass = home / "askpass"
    askpass.write_text(f"#!/bin/sh\necho '{secret}'\n")
    askpass.chmod(0o755)
    environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    argv = ["ssh", "-F", str(home / ".ssh" / "config"), "box", "true"]
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
    return once(server), done.returncode == 0


def offered_here(server: Sshd, ask: AskSecret, report: Reporter | None = None) -> tuple[list[bytes], bool]:
    """The same of Slipway."""
    server.offered.clear()
    with suppress(Unreachable):
        connection.close(connect(Hosts(), ask, report))
        return once(server), True
    return once(server), False


def noted_agents(home: Path) -> Path:
    """A file that is there as soon as an ssh-agent was run, from now on."""
    program, started = home / "bin" / "ssh-agent", home / "started"
    program.write_text(f"#!/bin/sh\ntouch '{started}'\nexit 1\n")
    program.chmod(0o755)
    return started


def once(server: Sshd) -> list[bytes]:
    """The keys and certificates in order; one is asked about, then signed with."""
    blobs = [key.public_blob.key_blob if key.public_blob else key.asbytes() for key in server.offered]
    return list(dict.fromkeys(blobs))


@contextmanager
def temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, in which nothing is left at the end, nor a program that was given a path in it."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        running = subprocess.check_output(["ps", "-eo", "args"], text=True).splitlines()
        assert list(Path(folder).iterdir()) == []
        assert [line for line in running if folder in line] == []
