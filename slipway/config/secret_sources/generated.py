"""`{generate: {…}}`: a random value, generated once per environment and stored there."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Literal

from pydantic import Field

from slipway.config.fields import Model, Whole
from slipway.config.secret_sources.source import ServiceSource


class Generate(Model):
    """How a value is generated: from `bytes` random bytes, written as `encoding`."""

    bytes: Annotated[Whole, Field(ge=8, le=1024)] = 32
    encoding: Literal["base64url", "base64", "hex"] = "base64url"

    def new_value(self) -> str:
        """A new random value."""
        raw = secrets.token_bytes(self.bytes)
        if self.encoding == "hex":
            return raw.hex()
        if self.encoding == "base64":
            return base64.b64encode(raw).decode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Generated(ServiceSource):
    """Generated for the service itself."""

    generate: Generate

    def owner(self, service: str) -> str:
        return service
