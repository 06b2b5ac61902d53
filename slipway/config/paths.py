"""Paths that users write: in files, flags and environment variables."""

from __future__ import annotations

import os
from pathlib import Path


def expand_user(text: str) -> Path:
    """A path with a leading ~ or ~user expanded. For an unknown user it stays as it is, and does not exist."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  pathlib's raises for such a user


def folder_option(value: str | None, variable: str, cwd: Path) -> Path | None:
    """A folder from a flag, or else from the environment variable; relative to the user's current directory."""
    text = value or os.environ.get(variable)
    return (cwd / expand_user(text)).resolve() if text else None


def is_file(path: Path) -> bool:
    """Whether it is a file; a path that no system call takes, such as one that is too long, is none."""
    return os.path.isfile(path)  # noqa: PTH113  pathlib's raises for such a path


def is_folder(path: Path) -> bool:
    """Whether it is a folder; a path that no system call takes is none."""
    return os.path.isdir(path)  # noqa: PTH112  pathlib's raises for such a path
