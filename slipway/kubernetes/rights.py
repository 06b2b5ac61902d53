"""Rights on one namespace are enough: what only a wider look would tell is left out where the API server refuses it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from slipway.errors import ApiRefused

T = TypeVar("T")
D = TypeVar("D")


def unless_forbidden(question: Callable[[], T], otherwise: D) -> T | D:
    """The answer, or `otherwise` where the user may not ask. Raises every other ApiRefused."""
    try:
        return question()
    except ApiRefused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return otherwise


def unless_refused(question: Callable[[], T], otherwise: D) -> T | D:
    """The answer, or `otherwise` for whatever reason it is refused: a cause is looked for, and needs none of it."""
    try:
        return question()
    except ApiRefused:
        return otherwise
