"""Quantities as Kubernetes writes them: 100m of a CPU, 256Mi of memory (kubernetes.io, "Resource units")."""

from __future__ import annotations

import re

UNITS = {
    "m": 1e-3, "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def parse_quantity(text: str | int) -> float | None:
    """The number of CPUs or bytes; None for what is not a quantity."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?", str(text))
    return float(found[1]) * UNITS[found[2] or ""] if found else None


def parse_bytes(text: str) -> int:
    """Whole bytes: 256Mi is 268435456. Raises ValueError for what is not a size of at least one byte."""
    found = None if text.endswith("m") else parse_quantity(text)
    if found is None or found < 1:
        raise ValueError(f"'{text}' is not a size such as 256Mi or 1.5Gi")
    return int(found)


def parse_cpus(text: str) -> float:
    """CPUs: 100m is 0.1. Raises ValueError for what is not a number of CPUs above 0."""
    found = parse_quantity(text) if re.fullmatch(r"[\d.]+m?", text) else None
    if not found:
        raise ValueError(f"'{text}' is not a number of CPUs such as 100m or 2")
    return found


def parse_minikube_memory(text: str) -> int:
    """Bytes of a size as minikube's --memory takes it, in powers of two: 4g, 4096m, 4096 (MiB). Raises ValueError."""
    found = re.fullmatch(r"(\d+)([kmgt]?)i?", text.lower())
    if not found:
        raise ValueError(f"'{text}' is not a size such as 4g or 4096m")
    return int(found[1]) << 10 * " kmgt".index(found[2] or "m")
