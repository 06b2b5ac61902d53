"""Which services a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import unknown_name
from slipway.flows.services import AnyService, Services


@dataclass(frozen=True)
class Selection:
    """The chosen services, and with all that they need the `tested` ones: a smoke test starts those too.

    What is needed comes first in both.
    """

    chosen: tuple[AnyService, ...]
    tested: tuple[AnyService, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the chosen ones."""
        return tuple(service.name for service in self.chosen)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of what they need beside them."""
        return tuple(service.name for service in self.tested if service not in self.chosen)


def select(services: Services, names: Sequence[str] = ()) -> Selection:
    """The services of these names (none: all). Raises UsageError for an unknown one."""
    asked = names or sorted(services)
    if strange := [name for name in asked if name not in services]:
        raise unknown_name("service", strange, services)
    ordered = dict.fromkeys(need for name in asked for need in (*services[name].needs, name))
    tested = tuple(services[name] for name in ordered)
    return Selection(tuple(service for service in tested if service.name in asked), tested)
