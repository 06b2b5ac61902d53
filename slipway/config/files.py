"""The YAML files in a folder, without what editors and macOS leave beside them."""

from __future__ import annotations

from pathlib import Path

from slipway.config.document import FileErrors

SUFFIXES = (".yaml", ".yml")


def yaml_files(folder: Path, errors: FileErrors) -> dict[str, Path]:
    """The files by name without suffix, sorted. Hidden ones (`.#x.yaml`, `._x.yaml`) do not count; twins are errors."""
    found: dict[str, Path] = {}
    for path in visible(folder, errors):
        if path.suffix not in SUFFIXES:
            continue
        if path.stem in found:
            errors.add(path, 1, f"{found[path.stem].name} and {path.name} are both there", "keep one of them")
        found.setdefault(path.stem, path)
    return found


def visible(folder: Path, errors: FileErrors) -> list[Path]:
    """What is in a folder and not hidden, sorted; nothing of one that does not exist."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        errors.add(folder, 1, f"can't be read: {error.strerror}")
        return []
