"""A root file system as a tar, the same bytes for the same content: files, links, folders and one unprivileged user."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

USER = 10001
IDENTITY = {
    "/etc/passwd": f"app:x:{USER}:{USER}::/tmp:/none\n",
    "/etc/group": f"app:x:{USER}:\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}


@dataclass(frozen=True)
class Root:
    """What is in it, by absolute place: files of this machine, links and their targets, folders of the user's own."""

    files: Mapping[str, Path]
    links: Mapping[str, str] = field(default_factory=dict)
    owned: Sequence[str] = ()

    def archive(self) -> bytes:
        """The tar: sorted, times fixed, owned by root but for `owned`; files are read through links."""
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
                entry.uid = entry.gid = USER
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
