"""`body: "ready|ok"`: a regular expression that is found somewhere in the body."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.fields import Regex


class Body(Assertion[Regex]):
    """A regular expression for the body as text."""

    def failures(self, answer: Answer) -> Iterator[str]:
        if not re.search(self.root, answer.text):
            yield f"expected the body to match {self.root}"
