"""`headers: {Content-Type: ^application/json}`: headers by name, as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.fields import Regex


class Headers(Assertion[dict[str, Regex]]):
    """Regular expressions by header; one of a header's values must match."""

    def failures(self, answer: Answer) -> Iterator[str]:
        for name, pattern in self.root.items():
            values = answer.header(name)
            if not any(re.search(pattern, value) for value in values):
                yield f"expected header {name} to match {pattern}, got {' and '.join(values) or 'none'}"
