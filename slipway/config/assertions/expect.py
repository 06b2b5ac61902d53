"""The registry of assertions: the keys that `expect` may have, in the order in which an answer is judged by them."""

from __future__ import annotations

from pydantic import Field

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.assertions.body import Body
from slipway.config.assertions.headers import Headers
from slipway.config.assertions.json_values import JsonValues
from slipway.config.assertions.status import Status
from slipway.config.assertions.within import Within
from slipway.config.fields import Model


class Expect(Model):
    """What an answer must be. A release's digest is made of a dump of it: names, order and defaults are fixed."""

    status: Status | None = None
    headers: Headers = Headers({})
    body: Body | None = None
    at: JsonValues = Field(default=JsonValues({}), alias="json")
    within: Within | None = None

    def failures(self, answer: Answer) -> list[str]:
        """What was expected of this answer and is not so, one line each."""
        if answer.error:
            return [f"expected an answer, got none: {answer.error}"]
        assertions = [getattr(self, name) for name in type(self).model_fields]
        return [line for one in assertions if isinstance(one, Assertion) for line in one.failures(answer)]
