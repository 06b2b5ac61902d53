"""An image's layers: their times put aside, so that the same content is the same layer; what each weighs."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layer:
    """One layer: its DiffID, its bytes uncompressed, and the instruction that made it."""

    id: str
    size: int
    made_by: str


def settle(saved: Path, settled: Path, kept: int) -> tuple[Layer, ...]:
    """Write a `docker save` archive anew, with every time in its layers put to 0, and say what they are.

    The lowest `kept` layers, the base's, stay as they are. A builder that copies into a folder gives the folder the
    time of day; BuildKit knows the same as `rewrite-timestamp`.
    """
    with tarfile.open(saved) as archive, tarfile.open(settled, "w") as out:
        manifest = json.loads(_read(archive, "manifest.json"))[0]
        config = json.loads(_read(archive, manifest["Config"]))
        contents = [_read(archive, name) for name in manifest["Layers"]]
        contents = [content if i < kept else timeless(content) for i, content in enumerate(contents)]
        ids = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in contents]
        config["rootfs"]["diff_ids"] = ids
        whole = json.dumps(config, separators=(",", ":")).encode()
        manifest["Config"] = f"{hashlib.sha256(whole).hexdigest()}.json"
        manifest["Layers"] = [f"{digest.removeprefix('sha256:')}.tar" for digest in ids]
        manifest["RepoTags"] = None
        _write(out, "manifest.json", json.dumps([manifest]).encode())
        _write(out, manifest["Config"], whole)
        for name, content in dict(zip(manifest["Layers"], contents, strict=True)).items():
            _write(out, name, content)
    made = [entry.get("created_by", "") for entry in config.get("history", ()) if not entry.get("empty_layer")]
    made = made if len(made) == len(ids) else [""] * len(ids)
    return tuple(Layer(i, len(c), instruction(m)) for i, c, m in zip(ids, contents, made, strict=True))


def timeless(layer: bytes) -> bytes:
    """A layer's tar with every time put to 0, and no times or names beside it."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(layer)) as old,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for entry in old:
            entry.mtime = 0
            entry.pax_headers = {k: v for k, v in entry.pax_headers.items() if k.startswith("SCHILY.xattr")}
            new.addfile(entry, old.extractfile(entry) if entry.isreg() else None)
    return buffer.getvalue()


def instruction(created_by: str) -> str:
    """The Dockerfile's instruction in a history entry, as short as it can be recognised."""
    text = created_by.removeprefix("/bin/sh -c #(nop) ").strip()
    words = [word for word in text.split() if not word.startswith(("file:", "dir:", "multi:"))]
    return " ".join(words).replace(" in ", " ")[:60]


def weights(layers: Sequence[Layer], kept: int, before: Collection[str]) -> list[str]:
    """A line per layer, the base's as one, with its size; those that the image before did not have are new."""
    new = [layer for layer in layers if layer.id not in before]
    lines = [f"{sum(layer.size for layer in layers[:kept]) / 1e6:8.2f} MB  base"] if kept else []
    lines += [
        f"{layer.size / 1e6:8.2f} MB  {layer.made_by or layer.id[7:19]}{'  (new)' if layer in new else ''}"
        for layer in layers[kept:]
    ]
    total = sum(layer.size for layer in layers)
    return [*lines, f"{total / 1e6:8.2f} MB  in all, {sum(layer.size for layer in new) / 1e6:.2f} MB of it new"]


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    """A member, decompressed where the daemon keeps layers compressed."""
    import gzip

    file = archive.extractfile(name)  # through links: equal layers are saved once
    content = file.read() if file else b""
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _write(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
