"""Quantities: what configuration accepts is what every reader of it understands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.config.quantity import cpus, minikube, number, size


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (number, "100m", 0.1), (number, "256Mi", 2**28), (number, 2, 2.0), (number, "main", None),
        (size, "256Mi", 2**28), (size, "1.5Gi", 3 * 2**29), (size, "10M", 10**7), (size, "5", 5),
        (cpus, "100m", 0.1), (cpus, "0.5", 0.5), (cpus, "2", 2.0),
        (minikube, "4g", 2**32), (minikube, "4Gi", 2**32), (minikube, "4096m", 2**32), (minikube, "1024k", 2**20),
        (minikube, "4096", 2**32),
    ],
)  # fmt: skip
def test_a_quantity_is_read(parse: Callable[[str | int], object], text: str | int, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [(size, "512m"), (size, "1g"), (size, "1K"), (size, "0"), (size, "lots"), (cpus, "1Gi"), (cpus, "0"), (cpus, ".m"),
     (minikube, "4x"), (minikube, "much")],
)  # fmt: skip
def test_what_is_none_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse(text)
