"""`within: 0.5`: how long the whole answer may take."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.fields import Seconds


class Within(Assertion[Seconds]):
    """Seconds."""

    def failures(self, answer: Answer) -> Iterator[str]:
        if answer.seconds > self.root:
            yield f"expected an answer within {self.root} s, took {answer.seconds:.2f} s"
