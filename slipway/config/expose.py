"""How a service is reached from outside: the name and path of its URL, who vouches for the certificate, and limits."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from slipway.config.fields import Duration, Model, Size, UserPath

NAME = r"(?!-)[a-z0-9-]{1,63}(?<!-)"  # of a host, in each of its parts (RFC 1123, 2.1)


def _host(value: str) -> str:
    if not re.fullmatch(rf"(?:{NAME}\.)+{NAME}", value) or len(value) > 253:
        raise ValueError(f"'{value}' is not the full name of a host such as api.example.org")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()+,;=:@%/-]*", value):
        raise ValueError(f"'{value}' is not the beginning of a path such as /tokens")
    return value.rstrip("/") or "/"


class CertificateFiles(Model):
    """A certificate with those that vouch for it, and its key, each a PEM file of this machine."""

    cert: UserPath
    key: UserPath


class Expose(Model):
    """The URL at which a service answers the world: `https://HOST/PATH`. Its path is not changed on the way.

    `body` is the largest request, `within` how long an answer may take to begin.
    """

    host: Annotated[str, AfterValidator(_host)]
    path: Annotated[str, AfterValidator(_path)] = "/"
    tls: Literal["acme", "internal"] | CertificateFiles = Field(
        default="acme", examples=["internal", "{cert: ~/tls/api.pem, key: ~/tls/api.key}"]
    )
    body: Size = "100Mi"
    within: Duration = "60s"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{self.host}{self.path}"


class Acme(Model):
    """The authority that certificates are asked of (RFC 8555), Let's Encrypt by default.

    `root` is the certificate that vouches for the authority's own address, where that is none that every system knows.
    """

    email: Annotated[str, Field(pattern=r"^\S+@\S+$")] | None = None
    ca: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    root: UserPath | None = None
