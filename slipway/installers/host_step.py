"""A step on one host: it belongs to the host's group and is decided on the host's facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipway.engine.steps import Probe, Step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, step_prefix


@dataclass(frozen=True, kw_only=True)
class HostStep(Step[Facts]):
    """A step whose group and probe are those of `host`."""

    host: Host
    group: str = field(init=False)
    probe: Probe[Facts] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", step_prefix(self.host))
        object.__setattr__(self, "probe", self.host.probe)
