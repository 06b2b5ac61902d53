"""Which services a command is about."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.config.models import Config
from slipway.errors import unknown_name


def selected(config: Config, names: str) -> list[str]:
    """The services behind `--service a,b` (default all), what they need first. Raises UsageError for an unknown one."""
    asked = [name.strip() for name in names.split(",") if name.strip()] or sorted(config.services)
    if strange := [name for name in asked if name not in config.services]:
        raise unknown_name("service", strange, config.services)
    ordered = (need for name in asked for need in (*config.needs(name), name))
    return [name for name in dict.fromkeys(ordered) if name in asked]


def with_needs(config: Config, names: Sequence[str]) -> list[str]:
    """The services and all that they need, whose images a smoke test starts; what is needed comes first."""
    return selected(config, ",".join((*names, *config.needs(*names))))


def ids(names: Sequence[str], among: Sequence[str], step: str) -> tuple[str, ...]:
    """The ids of that step of those names that are `among` the services of a run."""
    return tuple(f"{name}/{step}" for name in names if name in among)
