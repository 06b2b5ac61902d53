"""The YAML files in a folder, without what editors and macOS leave beside them."""

from __future__ import annotations

from collections.abc import Iterable
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


def configuration_files(folders: Iterable[Path], services: Path) -> list[Path]:
    """The files that settings folders and a services folder are read from; what is wrong in them is not told here."""
    unheard = FileErrors()
    settings = (folder for one in folders for folder in (one, one / "environments"))
    every = [folder for service in visible(services, unheard) for folder in (service, service / "manifests")]
    of_settings = (path for folder in settings for path in yaml_files(folder, unheard).values())
    of_services = (
        path
        for folder in every
        for name, path in yaml_files(folder, unheard).items()
        if name == "service" or folder.name == "manifests"
    )
    return [*of_settings, *of_services]
