"""Kubeconfigs as people have them: what kubectl takes is taken, and what it does not is told in its words."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from slipway.errors import Unreachable, UsageError
from slipway.kubernetes.credentials import settings_of
from tests.unit.kubernetes.rendered import Json


def kubeconfig(file: Path, user: Json | None = None, **cluster: object) -> Path:
    """A kubeconfig with one context `k`."""
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "k", "cluster": {"server": "https://192.0.2.1:6443", **cluster}}],
        "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
        "users": [{"name": "k", "user": user if user is not None else {"token": "t"}}],
    }
    file.write_text(json.dumps(found))
    return file


def plugin(folder: Path, script: str) -> Json:
    """A user whose credentials a program of ours gives."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    }


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / ".kube").mkdir()
    return tmp_path


def test_an_empty_variable_is_the_default_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(home / ".kube" / "config")
    monkeypatch.setenv("KUBECONFIG", "")
    assert settings_of("k", None).host == "https://192.0.2.1:6443"


@pytest.mark.parametrize("empty", ["", "# nothing yet\n", "---\n\n"])
@pytest.mark.parametrize("first", [True, False])
def test_an_empty_file_of_several_is_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch, empty: str, *, first: bool
) -> None:
    (home / "empty").write_text(empty)
    files = [str(home / "empty"), str(home / "absent"), "", str(kubeconfig(home / "other"))]
    monkeypatch.setenv("KUBECONFIG", ":".join(files if first else reversed(files)))
    assert settings_of("k", None).host == "https://192.0.2.1:6443"


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("apiVersion: v1\nclusters:\n\t- name: k\n", "config:3: found character '\\t' that cannot start any token"),
        ("apiVersion: v1\nclusters: !vault k\n", "config:2: could not determine a constructor for the tag '!vault'"),
        ("clusters: [\n", "config:2: expected the node content"),
        ("just text\n", "config is not a kubeconfig"),
        ("- a\n- b\n", "config is not a kubeconfig"),
        ("clusters: 5\ncontexts: [a]\n", "config is not a kubeconfig"),
    ],
)
def test_a_file_that_nobody_can_read_is_named_with_its_line(home: Path, text: str, summary: str) -> None:
    (home / ".kube" / "config").write_text(text)
    with pytest.raises(UsageError) as raised:
        settings_of("k", None)
    assert summary in raised.value.summary


def test_a_file_that_is_not_text_is_named(home: Path) -> None:
    (home / ".kube" / "config").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="config is not a kubeconfig"):
        settings_of("k", None)


@pytest.mark.parametrize("there", [True, False])
def test_a_context_that_is_not_there_is_told(home: Path, *, there: bool) -> None:
    if there:
        kubeconfig(home / ".kube" / "config")
    with pytest.raises(Unreachable, match="there is no kubeconfig context other"):
        settings_of("other", None)


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"tokenFile": "/no/such/file"}, {}),
        ({"client-certificate": "/no/such/file", "client-key": "/no/such/file"}, {}),
        ({"token": "t"}, {"certificate-authority": "/no/such/file"}),
    ],
)
def test_a_file_that_a_context_names_and_that_is_missing_is_told(home: Path, user: Json, cluster: Json) -> None:
    kubeconfig(home / ".kube" / "config", user, **cluster)
    with pytest.raises(Unreachable, match="kubeconfig context k can't be used") as raised:
        settings_of("k", None)
    assert "/no/such/file" in raised.value.details


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'Error: SSO token expired, run aws sso login' >&2; exit 255", "SSO token expired, run aws sso login"),
        ("echo 'not json'", "failed to decode process output"),
        ("echo '{}'", "missing key"),
    ],
)
def test_an_exec_plugin_that_fails_is_told_in_its_own_words(home: Path, script: str, words: str) -> None:
    kubeconfig(home / ".kube" / "config", plugin(home, script))
    with pytest.raises(Unreachable, match="its exec plugin failed") as raised:
        settings_of("k", None)
    assert words in raised.value.details


def test_an_exec_plugin_that_is_not_installed_is_named(home: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}
    kubeconfig(home / ".kube" / "config", user)
    with pytest.raises(Unreachable, match="its exec plugin failed") as raised:
        settings_of("k", None)
    assert "no-such-plugin" in raised.value.details


def test_the_token_of_an_exec_plugin_is_used(home: Path) -> None:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "abc"}}
    kubeconfig(home / ".kube" / "config", plugin(home, f"echo '{json.dumps(answer)}'"))
    assert "Bearer abc" in settings_of("k", None).api_key.values()
