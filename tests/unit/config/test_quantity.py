"""Quantities: what configuration accepts is what every reader of it understands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as reference

from slipway.config.quantity import parse_bytes, parse_cpus, parse_minikube_memory, parse_quantity, seconds


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_quantity, "100m", Decimal("0.1")), (parse_quantity, "256Mi", 2**28), (parse_quantity, 2, 2.0), (parse_quantity, "main", None),
        (parse_bytes, "256Mi", 2**28), (parse_bytes, "1.5Gi", 3 * 2**29), (parse_bytes, "10M", 10**7), (parse_bytes, "5", 5),
        (parse_cpus, "100m", 0.1), (parse_cpus, "0.5", 0.5), (parse_cpus, "2", 2.0),
        (parse_minikube_memory, "4g", 2**32), (parse_minikube_memory, "4Gi", 2**32), (parse_minikube_memory, "4096m", 2**32), (parse_minikube_memory, "1024k", 2**20),
        (parse_minikube_memory, "4096", 2**32),
    ],
)  # fmt: skip
def test_a_quantity_is_read(parse: Callable[[str | int], object], text: str | int, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_bytes, "512m"), (parse_bytes, "1g"), (parse_bytes, "1K"), (parse_bytes, "0"), (parse_bytes, "10E"), (parse_bytes, "lots"), (parse_cpus, "1Gi"), (parse_cpus, "0"), (parse_cpus, ".m"),
     (parse_minikube_memory, "4x"), (parse_minikube_memory, "much")],
)  # fmt: skip
def test_what_is_not_a_quantity_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse(text)


@settings(deadline=None)
@given(
    st.from_regex(r"[+-]?([0-9]{1,9}\.?[0-9]{0,9}|\.[0-9]{1,9})", fullmatch=True),
    st.sampled_from(
        [*"numkMGTPE", *(f"{unit}i" for unit in "KMGTPE"), "", "e3", "E-2", "e+06", "x", "ki", "_0", "NaN", " "]
    ),
)
def test_a_quantity_is_what_kubernetes_own_client_reads_where_the_grammar_has_one(number: str, unit: str) -> None:
    found = parse_quantity(number + unit)
    assert (found is None) is (unit in {"x", "ki", "_0", "NaN", " "})
    assert found is None or found == reference(number + unit)  # type: ignore[no-untyped-call]


def test_reading_a_quantity_does_not_import_the_kubernetes_package() -> None:
    ask = "import sys; from slipway.config.quantity import parse_bytes; parse_bytes('1Gi'); sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0


def test_a_quantity_is_the_same_however_it_is_written() -> None:
    assert parse_quantity("700m") == parse_quantity("0.7")


@pytest.mark.parametrize(("text", "value"), [("180s", 180), ("3m", 180), ("1m30s", 90), ("1s", 1), ("60m", 3600)])
def test_a_duration_is_read(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["180", "0s", "61m", "1h", "-5s", "1.5m", "", "s", "5s1m", "٣s"])
def test_what_is_not_a_duration_of_at_most_an_hour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 180s"):
        seconds(text)
