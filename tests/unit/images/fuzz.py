"""What Docker and Leiningen hand over, cut or with anything in it: it is read, or refused as a Problem."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from slipway.engine.reporter import null_reporter
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.images import reproducible_layers as layers
from slipway.images.dockerfile import uses_base_argument
from slipway.images.jar import verify


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _archive() -> bytes:
    layer = _tar({"a": b"b"})
    config = {"rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}, "history": [{"created_by": "x"}]}
    manifest = [{"Config": "c.json", "Layers": ["l.tar"]}]
    return _tar({"manifest.json": json.dumps(manifest).encode(), "c.json": json.dumps(config).encode(), "l.tar": layer})


def _jar() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: a.b\r\n")
        out.writestr("META-INF/A.SF", "signed")
        out.writestr("a/b.class", b"c" * 40)
        with out.open("inner.jar", "w", force_zip64=True) as inner:
            inner.write(b"PK\x03\x04")
    return buffer.getvalue()


VALID = {"archive": _archive(), "Dockerfile": b"# escape=`\nARG BASE=x\nFROM $BASE\nRUN a \\\n  b\n", "jar": _jar()}


def contents(name: str) -> st.SearchStrategy[bytes]:
    """Contents of such a file: bytes, a valid one that is cut, and one with a part replaced."""
    raw = VALID[name]
    pieces = st.binary(max_size=4) | st.sampled_from(
        [b"\n", b"\\\n", b'"', b"[]", b"null", b"0", b"PK\x05\x06", b"ARG "]
    )
    places = st.tuples(st.integers(0, len(raw)), st.integers(0, 30))
    changed = st.builds(lambda place, piece: raw[: place[0]] + piece + raw[sum(place) :], places, pieces)
    text = st.text(alphabet="ARGFOMBSE=#`'\"\\ \n\t\r$x", max_size=60).map(str.encode)
    return st.binary(max_size=40) | text | st.integers(0, len(raw)).map(lambda end: raw[:end]) | changed | changed


def use(folder: Path, name: str, content: bytes) -> None:
    """Read the file; whatever is raised and is not a Problem would be a traceback."""
    file = folder / name
    file.write_bytes(content)
    read: dict[str, Callable[[], object]] = {
        "archive": lambda: layers.read(file, 0).write(folder / "rewritten"),
        "Dockerfile": lambda: uses_base_argument(file),
        "jar": lambda: verify(FakeHost("here", Facts("Linux", "x86_64")), file, "/java", null_reporter()),
    }
    with contextlib.suppress(Problem):
        read[name]()
