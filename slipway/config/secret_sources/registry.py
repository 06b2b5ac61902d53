"""The registry of secret sources: a source is recognized by its only key, which its tag names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from slipway.config.fields import Model
from slipway.config.secret_sources.env import FromEnv
from slipway.config.secret_sources.file import FromFile
from slipway.config.secret_sources.generated import Generated
from slipway.config.secret_sources.reference import Of


def shape(value: Any) -> str:
    """How a source is written in a file, as far as its keys go: the tags below are such shapes."""
    keys = type(value).model_fields if isinstance(value, Model) else value if isinstance(value, Mapping) else ()
    return f"{{{', '.join(f'{key}: …' for key in keys)}}}"


def by_name(secrets: Any) -> Any:
    """`[NAME, …]`, which is short for generated secrets, as the mapping that it stands for."""
    if not isinstance(secrets, list) or not all(isinstance(one, str | Mapping) for one in secrets):
        return secrets
    found = ({one: {"generate": {}}} if isinstance(one, str) else one for one in secrets)
    return {name: source for one in found for name, source in one.items()}


def advice(name: str, found: str, expected: str) -> str:
    """What to write for the secret `name`, whose source has the shape `found` and not one of those `expected`."""
    if "generate" in expected:
        if "env: …" in found or "file: …" in found:
            return f"that is for an environment's file; here: `{name}: {{generate: {{}}}}`"
        short = f"`{name}: {{generate: {{}}}}`, or `secrets: [{name}]`"
        return f"{short}, is generated; `{name}: {{of: SERVICE}}` is another's"
    if "generate: …" in found or "of: …" in found:
        return f"that is for service.yaml; here: `{name}: {{env: VARIABLE}}`"
    return f"`{name}: {{env: VARIABLE}}`, or `{name}: {{file: PATH}}`"


ServiceSources = Annotated[
    Annotated[Generated, Tag("{generate: …}")]
    | Annotated[Of, Tag("{of: …}")],
    Discriminator(shape),
]  # fmt: skip

EnvironmentSources = Annotated[
    Annotated[FromEnv, Tag("{env: …}")]
    | Annotated[FromFile, Tag("{file: …}")],
    Discriminator(shape),
]  # fmt: skip
