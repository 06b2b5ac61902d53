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
