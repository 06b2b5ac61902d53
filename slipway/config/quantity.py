"""Quantities as Kubernetes writes them: 100m of a CPU, 256Mi of memory (kubernetes.io, "Resource units")."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path

# The grammar of k8s.io/apimachinery, pkg/api/resource/quantity.go; the reader below takes more, such as NaN and `1_0`.
QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?", re.ASCII)


def parse_quantity(text: str | float) -> Decimal | None:
    """The number of CPUs or bytes, as the kubernetes package reads it; None for what is not a quantity."""
    return _reader()(str(text)) if QUANTITY.fullmatch(str(text)) else None


@cache
def _reader() -> Callable[[str], Decimal]:
    """`kubernetes.utils.quantity.parse_quantity`: its file alone, since importing the package takes half a second."""
    package = importlib.util.find_spec("kubernetes")
    folder = Path(next(iter(package.submodule_search_locations or ()))) if package else Path()
    spec = importlib.util.spec_from_file_location("slipway.kubernetes_quantity", folder / "utils" / "quantity.py")
    if spec is None or spec.loader is None:  # pragma: no cover  requirements.txt has the package
        raise ModuleNotFoundError("kubernetes.utils.quantity")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reader: Callable[[str], Decimal] = module.parse_quantity
    return reader


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
    return float(found)


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
