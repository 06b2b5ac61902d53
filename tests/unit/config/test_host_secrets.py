"""Passwords of hosts in environment variables."""

from __future__ import annotations

import pytest

from slipway.config.host_secrets import host_secret


def test_a_hosts_own_variable_comes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_SUDO_PASSWORD", "all")
    monkeypatch.setenv("SLIPWAY_SUDO_PASSWORD_BOX_1", "one")
    assert host_secret("sudo", "box-1") == "one"
    assert host_secret("sudo", "box-2") == "all"
    monkeypatch.setenv("SLIPWAY_SUDO_PASSWORD_BOX_1", "")
    assert host_secret("sudo", "box-1") == "all"
    monkeypatch.delenv("SLIPWAY_SUDO_PASSWORD")
    assert host_secret("sudo", "box-1") is None
