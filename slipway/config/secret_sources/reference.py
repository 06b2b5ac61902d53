"""`{of: SERVICE}`: the secret of the same name that another service generates."""

from __future__ import annotations

from slipway.config.fields import Label
from slipway.config.secret_sources.source import ServiceSource


class Of(ServiceSource):
    """The other service."""

    of: Label

    def owner(self, service: str) -> str:  # noqa: ARG002  whoever uses it
        return self.of
