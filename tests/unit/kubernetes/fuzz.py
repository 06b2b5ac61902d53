"""A kubeconfig with anything in it: its context is used, or refused as a Problem. None has an exec plugin."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from slipway.errors import Problem
from slipway.kubernetes.credentials import settings_of

VALID = b"""\
current-context: x
contexts: [{name: x, context: {cluster: c, user: u, namespace: n}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: YQ==}}]
users: [{name: u, user: {token: t, client-certificate-data: YQ==, client-key-data: YQ==}}]
"""
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.sampled_from(["", "x", "c", "u", "YQ==", "Y", "https://a:b", "/nowhere", "ü"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "server", "token", "x"]), inner, max_size=2),
)  # fmt: skip


def _named(kind: str, keys: list[str]) -> st.SearchStrategy[Any]:
    entry = st.fixed_dictionaries(
        {"name": st.just("x")}, optional={kind: st.dictionaries(st.sampled_from(keys), VALUES)}
    )
    return st.lists(entry | VALUES, max_size=2) | VALUES


STRUCTURES = st.fixed_dictionaries(
    {},
    optional={
        "current-context": VALUES,
        "contexts": st.just([{"name": "x", "context": {"cluster": "x", "user": "x"}}]) | _named("context", ["cluster"]),
        "clusters": _named(
            "cluster", ["server", "certificate-authority-data", "insecure-skip-tls-verify", "proxy-url"]
        ),
        "users": _named(
            "user", ["token", "tokenFile", "username", "password", "client-key", "client-certificate-data"]
        ),
    },
)
PIECES = st.binary(max_size=4) | st.sampled_from([b"\n", b"- ", b"{", b"]", b"!x ", b"*a", b"~", b"''"])
CONTENTS: st.SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda at, size, piece: VALID[:at] + piece + VALID[at + size :], st.integers(0, len(VALID)), st.integers(0, 30), PIECES),
    STRUCTURES.map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


def use(folder: Path, content: bytes) -> None:
    """Read context x of the file; whatever is raised and is not a Problem would be a traceback."""
    file = folder / "kubeconfig"
    file.write_bytes(content)
    with contextlib.suppress(Problem):
        settings_of("x", str(file))
