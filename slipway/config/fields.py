"""What configuration is made of: models that know no other key, and fields that say what they must be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from slipway.config import quantity


def named(value: str) -> str:
    """The name itself. Raises ValueError for what is no DNS label (RFC 1123, a letter first)."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", value):
        raise ValueError(f"'{value}' is not a DNS label: lower-case letters, digits and -, a letter first")
    return value


def _written(value: object) -> object:
    """A bare number of YAML (`cpu: 2`) as the text that it is."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _read_by(parse: Callable[[str], object]) -> AfterValidator:
    def checked(value: str) -> str:
        parse(value)
        return value

    return AfterValidator(checked)


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"'{value}' is not a regular expression: {error}") from None
    return value


def _place(value: str) -> str:
    if not value.startswith(("/", "~")):
        raise ValueError(f"'{value}' is not an absolute path, nor one that begins with ~")
    return value


def _version(value: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise ValueError(f"'{value}' is not a version such as 1.34.4")
    return value


Place = Annotated[str, AfterValidator(_place)]
Label = Annotated[str, AfterValidator(named)]
Cpus = Annotated[str, BeforeValidator(_written), _read_by(quantity.cpus)]
Size = Annotated[str, BeforeValidator(_written), _read_by(quantity.size)]
MinikubeSize = Annotated[str, BeforeValidator(_written), _read_by(quantity.minikube)]
Version = Annotated[str, AfterValidator(_version)]
Regex = Annotated[str, AfterValidator(_regex)]
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
Whole = Annotated[int, Field(strict=True)]  # `true` is no number here, nor is '2'
Count = Annotated[Whole, Field(ge=1)]
Port = Annotated[Whole, Field(ge=1, le=65535)]


class Model(BaseModel):
    """Frozen; an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)
