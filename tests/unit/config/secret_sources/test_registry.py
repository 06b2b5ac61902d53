"""The registry: a source is recognized by its only key."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.config.models import Environment, Service
from slipway.config.secret_sources.env import FromEnv
from slipway.config.secret_sources.file import FromFile
from slipway.config.secret_sources.generated import Generated
from slipway.config.secret_sources.reference import Of


def test_a_source_is_recognized_by_its_key() -> None:
    secrets = {"A": {"generate": {}}, "B": {"of": "db"}}
    service = Service.model_validate({"name": "web", "secrets": secrets})
    assert [type(source) for source in service.secrets.values()] == [Generated, Of]
    environment = Environment.model_validate({"name": "local", "secrets": {"A": {"env": "A"}, "B": {"file": "/b"}}})
    assert isinstance(environment.secrets["A"], FromEnv)
    assert isinstance(environment.secrets["B"], FromFile)


def test_a_dump_is_what_it_always_was_since_releases_keep_it() -> None:
    secrets = {"A": {"generate": {}}, "B": {"generate": {"bytes": 16, "encoding": "hex"}}, "C": {"of": "db"}}
    service = Service.model_validate({"name": "web", "secrets": secrets})
    assert service.model_dump_json(include={"secrets"}) == (
        '{"secrets":{"A":{"generate":{"bytes":32,"encoding":"base64url"}},'
        '"B":{"generate":{"bytes":16,"encoding":"hex"}},"C":{"of":"db"}}}'
    )
    assert Service.model_validate_json(service.model_dump_json(by_alias=True)) == service


@pytest.mark.parametrize("source", [{}, {"of": "db", "generate": {}}, {"env": "A"}, "text", None, ["of"], {"of": "Db"}])
def test_anything_else_is_refused(source: Any) -> None:
    with pytest.raises(ValidationError):
        Service.model_validate({"name": "web", "secrets": {"A": source}})
