"""An image's root file system as a tar: files, links, folders and one unprivileged user; same content, same bytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

UID = 10001
IDENTITY = {
    "/etc/passwd": f"app:x:{UID}:{UID}::/tmp:/none\n",
    "/etc/group": f"app:x:{UID}:\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}


@dataclass(frozen=True)
class RootFs:
    """What is in it, by absolute path: files of this machine, links with their targets, folders that the user owns."""

    files: Mapping[str, Path]
    links: Mapping[str, str] = field(default_factory=dict)
    owned: Sequence[str] = ()

    def tar(self) -> bytes:
        """The tar: sorted, times 0, owned by root except for `owned`; a link to a file counts as the file."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, target in sorted(self.links.items()):
                link = _entry(name, tarfile.SYMTYPE, 0o777)
                link.linkname = target
                archive.addfile(link)
            for name, path in sorted(self.files.items()):
                _add(archive, name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
            for name, text in IDENTITY.items():
                _add(archive, name, text.encode(), 0o644)
            for folder, mode in {"/tmp": 0o1777, "/app": 0o755}.items():  # noqa: S108  the image's own
                archive.addfile(_entry(folder, tarfile.DIRTYPE, mode))
            for folder in self.owned:
                entry = _entry(folder, tarfile.DIRTYPE, 0o755)
                entry.uid = entry.gid = UID
                archive.addfile(entry)
        return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
