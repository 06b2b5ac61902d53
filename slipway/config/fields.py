"""The base model of every configuration file, and its field types: each validates its text and says what it must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from slipway.config import quantity
from slipway.config.scalar import yaml_value
from slipway.config.ssh_destination import USER, parse_destination

PLAIN_JSON_PATH = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_]*|\[(0|[1-9][0-9]{0,8})\])*")  # names and indexes, as most are


def dns_label(value: str) -> str:
    """The label itself. Raises ValueError where it is not one (RFC 1123; here a letter first, and 40 at most)."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", value):
        raise ValueError(f"'{value}' is not a DNS label (lower-case letters, digits and -, starting with a letter)")
    return value


def _parsed_by(parse: Callable[[str], object]) -> AfterValidator:
    """Text that `parse` accepts, which raises ValueError otherwise."""

    def validate(value: str) -> str:
        parse(value)
        return value

    return AfterValidator(validate)


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"'{value}' is not a regular expression: {error}") from None
    return value


def _json_path(value: str) -> str:
    if PLAIN_JSON_PATH.fullmatch(value):
        return value
    from jsonpath import JSONPathError, compile  # noqa: A004  here, because importing it takes 50 ms

    try:
        compile(value)
    except (JSONPathError, RecursionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"'{value}' is not a JSONPath: {reason}") from None
    return value


def _user_path(value: str) -> str:
    if not value.startswith(("/", "~")) or "\0" in value:
        raise ValueError(f"'{value}' must be an absolute path or start with ~")
    return value


def _version(value: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise ValueError(f"'{value}' is not a version such as 1.34.4")
    return value


def _tool_version(value: str) -> str:
    """What `packaging.version` reads, which takes 15 ms to import."""
    if not re.fullmatch(r"\d+(\.\d+)*(-(alpha|beta|rc)\.\d+)?", value):
        raise ValueError(f"'{value}' is not a version such as 20.10 or 1.34.4")
    return value


def _ssh_user(value: str) -> str:
    if not USER.fullmatch(value):
        raise ValueError(f"{value!r} is not a user name")
    return value


def _absolute_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"'{value}' is not an absolute path such as /var/lib/data")
    return value


AbsolutePath = Annotated[str, AfterValidator(_absolute_path)]
Duration = Annotated[str, _parsed_by(quantity.seconds)]
UserPath = Annotated[str, AfterValidator(_user_path)]
Label = Annotated[str, AfterValidator(dns_label)]
SshDestination = Annotated[str, _parsed_by(parse_destination)]
SshUser = Annotated[str, AfterValidator(_ssh_user)]
Cpus = Annotated[str, _parsed_by(quantity.parse_cpus)]
Size = Annotated[str, _parsed_by(quantity.parse_bytes)]
MinikubeSize = Annotated[str, _parsed_by(quantity.parse_minikube_memory)]
Version = Annotated[str, AfterValidator(_version)]
ToolVersion = Annotated[str, AfterValidator(_tool_version)]
Regex = Annotated[str, AfterValidator(_regex)]
JsonPath = Annotated[str, AfterValidator(_json_path)]
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
Whole = Annotated[int, Field(strict=True), BeforeValidator(yaml_value)]  # neither `true` nor '2'
Seconds = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False), BeforeValidator(yaml_value)]
Count = Annotated[Whole, Field(ge=1)]
Port = Annotated[Whole, Field(ge=1, le=65535)]


def kind_tag(value: object, default: str | None = None) -> str:
    """The tag of a union's member that has a `kind`: how that is written in a file, `default` where it is not."""
    kind = value.get("kind", default) if isinstance(value, Mapping) else getattr(value, "kind", default)
    return f"{{kind: {kind}}}"


class Model(BaseModel):
    """Frozen; an unknown key is an error, and an empty section is its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_sections(cls, data: Any) -> Any:
        """A key with nothing below it, or comments alone, is that section's default."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        sections = {
            name
            for field_name, field in cls.model_fields.items()
            if isinstance(field.default, dict | tuple | BaseModel)
            for name in (field_name, field.alias)
        }
        return {key: value for key, value in data.items() if value is not None or key not in sections}
