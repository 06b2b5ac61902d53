"""The values of a service's secrets: read from what its environment names, or generated once and stored with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slipway.config.models import Environment, Service
from slipway.config.secret_sources.generated import Generate, Generated
from slipway.errors import UsageError


def generated_secrets(
    service: Service, environment: Environment, services: Mapping[str, Service]
) -> dict[str, Generate]:
    """How each generated secret that a service uses is generated, by the key that it is stored under: SERVICE.NAME."""
    found = {}
    for name, declared in service.secrets.items():
        owner_name = declared.owner(service.name)
        # of an earlier release's service, its own settings count: it may be called otherwise by now
        owner = service if owner_name == service.name else services.get(owner_name)
        source = owner.secrets.get(name) if owner else None
        if isinstance(source, Generated) and name not in environment.secrets:
            found[f"{owner_name}.{name}"] = source.generate
    return found


def resolve(
    service: Service, environment: Environment, services: Mapping[str, Service], stored: Callable[[str, Generate], str]
) -> dict[str, str]:
    """The values of a service's secrets, by name. `stored` gives those that are generated (see `generated_secrets`).

    Raises UsageError naming every secret that has no value.
    """
    generated = generated_secrets(service, environment, services)
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, declared in service.secrets.items():
        owner = declared.owner(service.name)
        key = f"{owner}.{name}"
        if name in environment.secrets:
            try:
                values[name] = environment.secrets[name].read()
            except ValueError as error:
                missing.append(f"{name}: {error}")
        elif key in generated:
            values[name] = stored(key, generated[key])
        else:
            missing.append(f"{name}: service {owner} has no secret of that name")
    if missing:
        raise UsageError(
            f"{service.name}: missing secrets in environment {environment.name}",
            details="\n".join(missing),
            hint="set them, or change `secrets` in the environment's file",
        )
    return values
