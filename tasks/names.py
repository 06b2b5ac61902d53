"""The names of what a checkout has, read from its files' names: for completion and for hints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slipway.config.paths import folder_option
from tasks.paths import ROOT, working_directory

BUILT_IN = ("local", "minikube")  # as config.models has them, which take 0.1 s to import


def services() -> list[str]:
    """The services in SLIPWAY_SERVICES, else in the folder that slipway.yaml names."""
    found = folder_option(None, "SLIPWAY_SERVICES", working_directory()) or ROOT / _services_folder()
    return _sorted(path.parent.name for path in found.glob("[!.]*/service.y*ml"))


def _services_folder() -> str:
    from slipway.config.yaml_reader import Unreadable, documents

    files = (path for folder in _settings() for path in sorted(folder.glob("slipway.y*ml")))
    try:
        found = next(documents(next(files)))["services"]
    except (StopIteration, Unreadable, KeyError, TypeError):
        return "services"
    return str(found)


def environments() -> list[str]:
    """The environments of the settings' folders, and those that every checkout has."""
    files = (path for folder in _settings() for path in folder.glob("environments/[!.]*.y*ml"))
    return _sorted([*BUILT_IN, *(path.stem for path in files)])


def hosts() -> list[str]:
    """The hosts of hosts.yaml; none where it has errors."""
    from slipway.config.load import load_hosts

    found = load_hosts(ROOT, folder_option(None, "SLIPWAY_SETTINGS", working_directory()))
    return _sorted(found.hosts if found else ())


def _settings() -> list[Path]:
    """The folders with settings, that which wins first."""
    own = folder_option(None, "SLIPWAY_SETTINGS", working_directory())
    return [*([own] if own else []), ROOT / "config"]


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted({*names})
