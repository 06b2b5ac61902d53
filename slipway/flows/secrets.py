"""The values of services' secrets in one environment, and the step that stores those that are generated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from slipway.config.models import Config, Environment, Service
from slipway.config.secret_sources.generated import Generate
from slipway.deployers.secret_store import SecretStore
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Probe, Step
from slipway.errors import Problem
from slipway.secrets.fingerprint import begin_fingerprint
from slipway.secrets.resolution import generated_secrets, resolve

S = TypeVar("S")


@dataclass(frozen=True)
class SecretValues(Generic[S]):
    """Values by service. `mask` hears every value before anything else does.

    A generated secret that is not stored yet is `pending`: made once in a run, and stored by `GenerateSecrets`.
    """

    config: Config
    environment: Environment
    store: SecretStore[S]
    state: Probe[S]
    mask: Callable[[Sequence[str]], None]
    stored: Probe[dict[str, str]] = field(init=False)
    _pending: dict[str, str] = field(default_factory=dict, init=False)  # by SERVICE.NAME
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stored", Probe(self._read))

    def _read(self) -> dict[str, str]:
        values = self.store.read(self.state.facts)
        self.mask(list(values.values()))
        return values

    def of(self, service: Service) -> dict[str, str]:
        """The values of a service's secrets, by name. Raises UsageError naming every source that is missing."""
        stored = self.stored.facts()

        def generated(place: str, how: Generate) -> str:
            return stored.get(place) or self._pend(place, how)

        values = resolve(service, self.environment, self.config.services, generated)
        self.mask(list(values.values()))
        return values

    def hide(self, service: Service) -> None:
        """Mask a service's secrets before its own output is shown: all that are stored, its others if they are here."""
        self.stored.facts()
        with suppress(Problem):
            self.of(service)

    def missing(self, services: Sequence[Service], stored: Mapping[str, str]) -> dict[str, str]:
        """The generated secrets of services that are not stored yet, as this run made them up."""
        found = {}
        for service in services:
            for place, how in generated_secrets(service, self.environment, self.config.services).items():
                if place not in stored:
                    found[place] = self._pend(place, how)
        return found

    def _pend(self, place: str, how: Generate) -> str:
        with self._lock:
            if place not in self._pending:
                self._pending[place] = how.new_value()
            return self._pending[place]


@dataclass(frozen=True, kw_only=True)
class GenerateSecrets(Step[dict[str, str]]):
    """Generated secrets: made once, and stored with the environment."""

    values: SecretValues[Any]
    services: tuple[Service, ...]

    def check(self, facts: dict[str, str]) -> Change | None:
        """Those that are not stored yet. Raises UsageError for a source of others that is missing."""
        for service in self.services:
            begin_fingerprint(self.values.of(service))  # each release has it: computed while sources are read
        missing = self.values.missing(self.services, facts)
        return Change(f"{', '.join(sorted(missing))} must be generated") if missing else None

    def apply(self, report: Reporter) -> None:
        """Store them beside the others."""
        missing = self.values.missing(self.services, self.values.stored.facts())
        report.note(self.values.store.store(missing, report))
