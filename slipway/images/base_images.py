"""What identifies a base image, and whether a Docker has it."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache

from slipway.config.versions import Base, Debian
from slipway.docker.state import State

RECIPE_VERSIONS = {"jlink": 4, "packages": 2}  # increased when the same recipe builds something else


def identity(base: Base) -> str:
    """The digest of what a base is built from: its entry, how recipes are built, and the packages' distribution.

    It is the same on every machine, except for a recipe of packages: each release of Debian has its own PostgreSQL.
    """
    of = [host_release()] if isinstance(base.recipe, Debian) and not base.upstream else []
    version = RECIPE_VERSIONS[base.recipe.kind if base.recipe else "packages"]
    canonical = json.dumps([version, base.model_dump(mode="json"), *of], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def tag(name: str, base: Base) -> str:
    """The tag of a base, wherever it came from."""
    return f"slipway/base-{name}:{identity(base)}"


def is_present(state: State, name: str, base: Base) -> bool:
    """Whether the daemon has the base."""
    return state.tagged(tag(name, base)) is not None


@cache
def host_release() -> str:
    """The distribution of this machine and its release, as `debian-12`, from os-release(5); empty where it has none.

    Needed for every digest, which must not wait for a host's probe.
    """
    try:
        fields = platform.freedesktop_os_release()
    except OSError:
        return ""
    return f"{fields.get('ID', '')}-{fields.get('VERSION_ID', '')}"
