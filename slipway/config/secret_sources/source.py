"""The base classes of secret sources: a source is a mapping with one key, and has one method."""

from __future__ import annotations

from abc import abstractmethod

from slipway.config.fields import Model


class ServiceSource(Model):
    """What service.yaml says of a secret: which service generates it."""

    @abstractmethod
    def owner(self, service: str) -> str:
        """The service that generates the secret, where `service` is the one that uses it."""


class EnvironmentSource(Model):
    """What an environment says of a secret: where its value is read from instead of being generated."""

    @abstractmethod
    def read(self) -> str:
        """The value. Raises ValueError saying why there is none."""
