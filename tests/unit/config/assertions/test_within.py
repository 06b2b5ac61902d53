"""`within`: seconds for the whole answer."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.within import Within


def test_a_slow_answer_fails() -> None:
    assert list(Within(0.5).failures(Answer(200, seconds=0.5))) == []
    assert list(Within(0.5).failures(Answer(200, seconds=0.75))) == ["expected an answer within 0.5 s, took 0.75 s"]


@pytest.mark.parametrize("value", [True, "1", 0, -1])
def test_what_is_not_a_positive_number_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Within.model_validate(value)
