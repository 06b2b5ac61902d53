"""Where generated secrets are stored: with the environment, so that nothing in a checkout needs to survive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from slipway.engine.reporter import Reporter

S_contra = TypeVar("S_contra", contravariant=True)


class SecretStore(Protocol[S_contra]):
    """The generated secrets of one environment, by SERVICE.NAME."""

    def read(self, state: Callable[[], S_contra]) -> dict[str, str]:
        """What is stored. `state` tells what the environment has, for a store that has to know it."""

    def store(self, values: Mapping[str, str], report: Reporter) -> str:
        """Store values beside those that are stored by now, which stay as they are; returns where, in words."""
