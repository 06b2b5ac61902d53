"""Where a service's secrets come from: the environment's own sources, or generated once and kept with the target."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache

from slipway.config.load import at_home
from slipway.config.models import Environment, FromEnv, FromFile, Generate, Generated, Of, Service
from slipway.errors import UsageError


def generate(how: Generate) -> str:
    """A new random value of `how.bytes` bytes."""
    raw = secrets.token_bytes(how.bytes)
    if how.encoding == "hex":
        return raw.hex()
    if how.encoding == "base64":
        return base64.b64encode(raw).decode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def places(service: Service, environment: Environment, owners: Mapping[str, Service]) -> dict[str, Generate]:
    """Which generated secrets a service uses, by the name under which they are kept (SERVICE.NAME), and how made."""
    found = {}
    for name, how in service.secrets.items():
        owner = owners.get(how.of) if isinstance(how, Of) else service  # an earlier release's may have another name now
        made = owner.secrets.get(name) if owner else None
        if owner and name not in environment.secrets and isinstance(made, Generated):
            found[f"{owner.name}.{name}"] = made.generate
    return found


def resolve(
    service: Service, environment: Environment, owners: Mapping[str, Service], kept: Callable[[str, Generate], str]
) -> dict[str, str]:
    """The values of a service's secrets; `kept` tells those that are generated, by their place (see `places`).

    Raises Problem naming every source that is missing.
    """
    made = places(service, environment, owners)
    values: dict[str, str] = {}
    faults: list[str] = []
    for name, how in service.secrets.items():
        source = environment.secrets.get(name)
        if isinstance(source, FromEnv):
            if source.env in os.environ:
                values[name] = os.environ[source.env]
            else:
                faults.append(f"{name}: the variable {source.env} is not set")
        elif isinstance(source, FromFile):
            try:
                values[name] = at_home(source.file).read_text().rstrip("\n")
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{name}: {error}")
        else:
            owner = how.of if isinstance(how, Of) else service.name
            place = f"{owner}.{name}"
            if place in made:
                values[name] = kept(place, made[place])
            else:
                faults.append(f"{name}: service {owner} has no secret of that name")
    if faults:
        raise UsageError(
            f"{service.name}: secrets can't be had in environment {environment.name}",
            details="\n".join(faults),
            hint="set them, or change `secrets` in the environment's file",
        )
    return values


def fingerprint(values: Mapping[str, str]) -> str:
    """A digest that changes when a value does and tells nothing of it: scrypt, so that guessing a weak one is slow."""
    return _scrypt("\n".join(f"{name}={value}" for name, value in sorted(values.items()))) if values else ""


@lru_cache(maxsize=256)  # many checks of one run ask for the same
def _scrypt(text: str) -> str:
    return hashlib.scrypt(text.encode(), salt=b"slipway", n=2**12, r=8, p=1, dklen=16).hex()
