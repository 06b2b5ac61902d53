"""The names of what a checkout has, read from its files' names: for completion and for hints."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from slipway.config.paths import folder_option
from tasks.paths import ROOT

EVERYWHERE = ("local", "minikube")  # environments of every checkout: config's BUILT_IN, which takes 0.1 s to import


def services(folder: str = "") -> list[str]:
    """The services in a folder, else in SLIPWAY_SERVICES, else in the checkout's own."""
    found = folder_option(folder, "SLIPWAY_SERVICES", _cwd()) or ROOT / "services"
    return _sorted(path.parent.name for path in found.glob("[!.]*/service.y*ml"))


def environments(settings: str = "") -> list[str]:
    """The environments of the settings' folders, and those that every checkout has."""
    folders = (ROOT / "config", folder_option(settings, "SLIPWAY_SETTINGS", _cwd()))
    files = (path for folder in folders if folder for path in folder.glob("environments/[!.]*.y*ml"))
    return _sorted([*EVERYWHERE, *(path.stem for path in files)])


def hosts(settings: str = "") -> list[str]:
    """The hosts of hosts.yaml; none where it has errors."""
    from slipway.config.load import load_hosts

    found = load_hosts(ROOT, folder_option(settings, "SLIPWAY_SETTINGS", _cwd()))
    return _sorted(found.hosts if found else ())


def _cwd() -> Path:
    return Path(os.environ.get("SLIPWAY_CWD") or Path.cwd())


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted({*names})
