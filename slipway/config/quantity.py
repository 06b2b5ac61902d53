"""Quantities as Kubernetes writes them: 100m of a CPU, 256Mi of memory (kubernetes.io, "Resource units")."""

from __future__ import annotations

import re
from decimal import Decimal

UNITS = {
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", *"kMGTPE"), -3)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
QUANTITY = re.compile(
    r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))((?P<unit>[numkMGTPE]|[KMGTPE]i)|(?P<exponent>[eE][+-]?\d{1,2}))?", re.ASCII
)


def parse_quantity(text: str | int) -> float | None:
    """The number of CPUs or bytes; None for what is not a quantity.

    It is computed in decimal, so that 700m, which is how a cluster writes 0.7, is the same.
    """
    found = QUANTITY.fullmatch(str(text))
    return float(Decimal(found["number"] + (found["exponent"] or "")) * UNITS[found["unit"] or ""]) if found else None


def parse_bytes(text: str) -> int:
    """Whole bytes: 256Mi is 268435456. Raises ValueError for what is not a size of at least one byte."""
    found = None if text.endswith("m") else parse_quantity(text)
    if found is None or not 1 <= found < 2**63:
        raise ValueError(f"'{text}' is not a size such as 256Mi or 1.5Gi")
    return int(found)


def parse_cpus(text: str) -> float:
    """CPUs: 100m is 0.1. Raises ValueError for what is not a number of CPUs above 0."""
    found = parse_quantity(text) if re.fullmatch(r"[0-9.]+m?", text) else None
    if not found:
        raise ValueError(f"'{text}' is not a number of CPUs such as 100m or 2")
    return found


def parse_minikube_memory(text: str) -> int:
    """Bytes of a size as minikube's --memory takes it, in powers of two: 4g, 4096m, 4096 (MiB). Raises ValueError."""
    found = re.fullmatch(r"(\d+)([kmgt]?)i?", text.lower())
    if not found:
        raise ValueError(f"'{text}' is not a size such as 4g or 4096m")
    return int(found[1]) << 10 * " kmgt".index(found[2] or "m")


def seconds(text: str) -> int:
    """A duration as Go and Docker write it: 180s, 3m, 1m30s. Raises ValueError for what is not 1 s to 1 h."""
    found = re.fullmatch(r"(?:(\d{1,4})m)?(?:(\d{1,4})s)?", text, re.ASCII)
    total = 60 * int(found[1] or 0) + int(found[2] or 0) if found else 0
    if not 1 <= total <= 3600:
        raise ValueError(f"'{text}' is not a duration such as 180s or 3m, of at most 60m")
    return total
