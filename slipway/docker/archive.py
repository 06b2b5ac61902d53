"""A tar of files for a container, in which anybody may change them."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import PurePosixPath


def writable_tar(files: Mapping[str, bytes], mode: int) -> bytes:
    """A tar of files by their paths, written now, with the folders that they are in, to which anybody may add."""
    buffer, now = io.BytesIO(), int(time.time())
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folders = {str(folder): None for path in files for folder in reversed(PurePosixPath(path).parents[:-1])}
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o777, now
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, now
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
