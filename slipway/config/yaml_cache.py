"""What the YAML files of a project say, kept between commands: ruamel needs 20 ms for a file of 100 lines."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway.config.scalar import Scalar

PROJECTS = 20  # whose files are kept, the newest
SCALAR = ""  # the key of what stands for a Scalar in the file; a mapping of a user that has this key is not kept


class YamlCache:
    """Plain data by the text that it was read from: a file in the user's cache folder for each project.

    Only the files of a configuration without an error are saved, and no manifests: neither has values of secrets. A
    file that is damaged, or that another reader than this one has written, is as good as none.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._used: dict[str, Any] = {}
        self._changed = False

    def find(self, text: str) -> dict[str, Any] | None:
        """The mapping that a file of this text is, with numbers and dates as `Scalar`; None if it isn't known."""
        key = _digest(text)
        found = self._saved.get(key)
        if found is not None:
            self._used[key] = found
        return found

    def add(self, text: str, data: dict[str, Any]) -> None:
        """Keep what a file of this text is, for `save`."""
        self._used[_digest(text)] = data
        self._changed = True

    def save(self) -> None:
        """Write what this command has read, if it differs; without a folder that can be written to, nothing."""
        if not self._changed:
            return
        from tempfile import NamedTemporaryFile

        body = json.dumps({key: _encoded(data) for key, data in self._used.items() if _is_encodable(data)})
        with contextlib.suppress(OSError):
            folder = self._file.parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as part:
                part.write(f"{_digest(_reader() + body)}\n{body}")
            Path(part.name).replace(self._file)
            for old in sorted(folder.iterdir(), key=_modified)[:-PROJECTS]:
                old.unlink(missing_ok=True)

    @cached_property
    def _file(self) -> Path:
        from platformdirs import user_cache_path

        return user_cache_path("slipway") / "configuration" / f"{_digest(str(self._root))[:16]}.json"

    @cached_property
    def _saved(self) -> dict[str, Any]:
        try:
            written, _, body = self._file.read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return {}
        if written != _digest(_reader() + body):
            return {}
        found: dict[str, Any] = json.loads(body, object_hook=_decoded)
        return found


def _reader() -> str:
    """What decides what a text is read as: Python, ruamel (whose version is in its first file) and this reader."""
    ruamel = importlib.util.find_spec("ruamel.yaml")
    sources = [Path(__file__).with_name(f"{name}.py") for name in ("yaml_cache", "yaml_reader", "scalar")]
    if ruamel and ruamel.origin:
        sources.append(Path(ruamel.origin))
    return "\n".join([sys.version, *(_digest(path.read_text(encoding="utf-8")) for path in sources)])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _modified(path: Path) -> float:
    """When a file was written; 0 if another process has removed it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def _is_encodable(data: Any) -> bool:
    if isinstance(data, dict):
        return SCALAR not in data and all(map(_is_encodable, data.values()))
    return all(map(_is_encodable, data)) if isinstance(data, list) else True


def _encoded(data: Any) -> Any:
    if isinstance(data, Scalar):
        return {SCALAR: [str(data), data.value]}
    if isinstance(data, dict):
        return {key: _encoded(value) for key, value in data.items()}
    return [_encoded(value) for value in data] if isinstance(data, list) else data


def _decoded(found: dict[str, Any]) -> Any:
    return Scalar(*found[SCALAR]) if SCALAR in found else found
