"""`status: 200`: the status code of the response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.fields import Whole


class Status(Assertion[Annotated[Whole, Field(ge=100, le=599)]]):
    """An HTTP status code."""

    def failures(self, answer: Answer) -> Iterator[str]:
        if answer.status != self.root:
            yield f"expected status {self.root}, got {answer.status}"
