"""`status`: the status code of a response."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.status import Status


def test_another_status_fails() -> None:
    assert list(Status(200).failures(Answer(200))) == []
    assert list(Status(201).failures(Answer(200))) == ["expected status 201, got 200"]


@pytest.mark.parametrize("value", [True, "200", 99, 600, 200.5])
def test_what_is_not_a_status_code_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Status.model_validate(value)
