"""The registry of secret sources. A source is told by its only key, which its line names."""

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
    """How a source is written: its keys, or what else stands there. The tags below are shapes."""
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
