"""An image's layers without timestamps, so that the same content is the same layer; and their sizes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@dataclass(frozen=True)
class Layer:
    """One layer: its DiffID, its uncompressed size in bytes, and the instruction that created it."""

    id: str
    size: int
    created_by: str


@dataclass
class ImageContent:
    """What an image is made of: its configuration, and its layers as tars, those of the base apart.

    `base` has None for a layer that the daemon need not be given: Docker's `own_store` loads an archive without layers
    that it has, containerd's wants them all.
    """

    own_store: bool
    config: dict[str, Any]
    base: Sequence[bytes | None]
    base_sizes: Sequence[int]  # in bytes
    own: list[bytes]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, which may be added to."""
        labels: dict[str, str] = self.config["config"]["Labels"]
        return labels

    @property
    def base_ids(self) -> list[str]:
        """The DiffIDs of the base's layers."""
        return list(self.config["rootfs"]["diff_ids"][: len(self.base)])

    def append(self, layer: bytes, instruction: str) -> None:
        """Put a layer on top."""
        self.own.append(layer)
        entry = {"created": self.config.get("created"), "created_by": instruction}
        self.config["history"] = [*self.config.get("history", ()), entry]

    def write(self, archive: Path) -> tuple[Layer, ...]:
        """Write an archive for `docker load`; the layers, the lowest first. Raises Problem where there is no room."""
        ids = [*self.base_ids, *map(_digest, self.own)]
        self.config["rootfs"]["diff_ids"] = ids
        with _usable(archive):
            write(archive, self.config, [*self.base, *self.own])
            instructions = _instructions(self.config, len(ids))
        sizes = [*self.base_sizes, *map(len, self.own)]
        return tuple(Layer(id_, size, text) for id_, size, text in zip(ids, sizes, instructions, strict=True))


def read(saved: Path, base_layers: int, image: str = "") -> ImageContent:
    """Read a `docker save` archive, with all timestamps in its layers set to 0.

    The lowest `base_layers`, those of the base image, stay as they are. In Docker's own store, where `image`, the
    daemon's id of it, is the digest of its configuration, they are not read. A builder that copies into a folder gives
    that folder the current time. BuildKit has the same as `rewrite-timestamp`. Raises Problem for a damaged archive.
    """
    with _usable(saved), tarfile.open(saved) as archive:
        manifest = json.loads(_read(archive, "manifest.json"))[0]
        config = _read(archive, manifest["Config"])
        parsed = json.loads(config)
        layers = list(zip(manifest["Layers"], parsed["rootfs"]["diff_ids"], strict=True))
        below, above = layers[:base_layers], layers[base_layers:]
        own_store = image == _digest(config)
        base = [None if own_store else _read_layer(archive, *one) for one in below]
        sizes = [_size(archive, name) if one is None else len(one) for one, (name, _) in zip(base, below, strict=True)]
        own = [without_timestamps(_read_layer(archive, *one)) for one in above]
        return ImageContent(own_store, parsed, base, sizes, own)


def write(archive: Path, config: Mapping[str, Any], contents: Sequence[bytes | None]) -> None:
    """Write an archive for `docker load`, without tags. A layer that is None is one that the daemon has already."""
    config_json = json.dumps(config, separators=(",", ":")).encode()
    config_name = f"{hashlib.sha256(config_json).hexdigest()}.json"
    names = [f"{digest.removeprefix('sha256:')}.tar" for digest in config["rootfs"]["diff_ids"]]
    manifest = [{"Config": config_name, "RepoTags": None, "Layers": names}]
    files = {name: content for name, content in zip(names, contents, strict=True) if content is not None}
    with tarfile.open(archive, "w") as out:
        for name, content in {
            "manifest.json": json.dumps(manifest).encode(),
            config_name: config_json,
            **files,
        }.items():
            _write(out, name, content)


@contextmanager
def _usable(saved: Path) -> Iterator[None]:
    """Raise Problem for an archive that is cut, or without what `docker save` puts into it, or no room for another."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        details = f"{saved.name}: {type(error).__name__}: {error}"
        raise Problem("the saved image can't be rewritten", details=details, hint="is the disk full? df -h") from error


def _instructions(config: Mapping[str, Any], layers: int) -> list[str]:
    """The instruction of each layer; empty where the history tells of another number of layers."""
    found = [
        instruction(entry.get("created_by", "")) for entry in config.get("history", ()) if not entry.get("empty_layer")
    ]
    return found if len(found) == layers else [""] * layers


def without_timestamps(layer: bytes) -> bytes:
    """A layer's tar with all times 0, and of the PAX headers only extended attributes."""
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
    """The Dockerfile's instruction in a history entry, without digests, cut to a line's length."""
    text = created_by.removeprefix("/bin/sh -c #(nop) ").strip()
    words = [word for word in text.split() if not word.startswith(("file:", "dir:", "multi:"))]
    return " ".join(words).replace(" in ", " ")[:60]


def describe(layers: Sequence[Layer], base_layers: int, before: Collection[str]) -> list[str]:
    """A line per layer with its size, the base image's as one; `before` are the layers of the previous image."""
    new = [layer for layer in layers if layer.id not in before]
    lines = [f"{sum(layer.size for layer in layers[:base_layers]) / 1e6:8.2f} MB  base"] if base_layers else []
    lines += [
        f"{layer.size / 1e6:8.2f} MB  {layer.created_by or layer.id[7:19]}{'  (new)' if layer in new else ''}"
        for layer in layers[base_layers:]
    ]
    total = sum(layer.size for layer in layers)
    return [*lines, f"{total / 1e6:8.2f} MB  in total, {sum(layer.size for layer in new) / 1e6:.2f} MB of it new"]


def _read_layer(archive: tarfile.TarFile, name: str, diff_id: str) -> bytes:
    """A layer's tar, which a daemon may store compressed. Raises Problem if it is not the one with that DiffID."""
    content, details = _read(archive, name), "its content is not that of its digest"
    try:
        content = uncompressed(content)
    except (OSError, EOFError, ValueError, zlib.error, zstd.ZstdError) as error:
        details = str(error)
    if _digest(content) != diff_id:
        hint = "docker system df; the image store may be damaged, or compress layers in an unknown way"
        raise Problem(f"layer {diff_id} of the image can't be read", details=details, hint=hint)
    return content


def uncompressed(content: bytes) -> bytes:
    """A layer without its compression: gzip, zstd, or none (OCI image specification, media types of layers)."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    return zstd.decompress(content) if content.startswith(b"\x28\xb5\x2f\xfd") else content


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)  # through links: equal layers are saved once
    return file.read() if file else b""


def _size(archive: tarfile.TarFile, name: str) -> int:
    file = archive.extractfile(name)
    return file.seek(0, io.SEEK_END) if file else 0


def _write(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
