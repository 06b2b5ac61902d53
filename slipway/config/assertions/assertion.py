"""What an assertion is: the value of one key under `expect`, validated when the file is read, that judges an answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

from pydantic import ConfigDict, RootModel

from slipway.config.assertions.answer import Answer

T = TypeVar("T")


class Assertion(RootModel[T], Generic[T]):
    """`root` is the value as it is written in the file; a dump of the assertion is that value again."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    @abstractmethod
    def failures(self, answer: Answer) -> Iterator[str]:
        """What was expected of this answer and is not so, one line each."""
