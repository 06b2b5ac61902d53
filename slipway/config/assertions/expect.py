"""The registry of assertions: the keys that `expect` may have, in the order in which an answer is judged by them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.assertions.body import Body
from slipway.config.assertions.headers import Headers
from slipway.config.assertions.json_values import JsonValues
from slipway.config.assertions.status import Status
from slipway.config.assertions.within import Within
from slipway.config.fields import Model

ALWAYS_DUMPED = frozenset({"status", "headers", "body", "at", "json", "within"})  # `at` is `json` in files


class Expect(Model):
    """What an answer must be.

    Releases were digested with a dump of the keys in `ALWAYS_DUMPED`, set or not; a newer key is dumped only where set.
    """

    status: Status | None = None
    headers: Headers = Headers({})
    body: Body | None = None
    at: JsonValues = Field(default=JsonValues({}), alias="json")
    within: Within | None = None

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        return {key: value for key, value in values.items() if key in ALWAYS_DUMPED or value is not None}

    def failures(self, answer: Answer) -> list[str]:
        """What was expected of this answer and is not so, one line each."""
        if answer.error:
            return [f"expected an answer, got none: {answer.error}"]
        assertions = [getattr(self, name) for name in type(self).model_fields]
        return [line for one in assertions if isinstance(one, Assertion) for line in one.failures(answer)]
