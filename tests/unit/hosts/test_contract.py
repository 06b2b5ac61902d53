"""The contract of hosts: this machine, and the host in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import Host
from slipway.hosts.local import LocalHost
from tests.contracts.host import HostContract


def fake() -> FakeHost:
    programs = {
        "echo": lambda c: (0, " ".join(c.argv[1:]).encode() + b"\n", b""),
        "cat": lambda c: (0, c.stdin, b""),
        "false": lambda _: (1, b"", b""),
    }
    return FakeHost("a fake", Facts(kernel="Linux", arch="x86_64"), programs)


class TestHosts(HostContract):
    @pytest.fixture(params=["real", "fake"])
    def host(self, request: pytest.FixtureRequest) -> Host:
        return LocalHost() if request.param == "real" else fake()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return str(tmp_path / "folder")
