"""What people read of facts: tables, the nodes of a cluster, durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.ui.session import Session


def table(session: Session, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns that a person reads and `awk` does too."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        session.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def nodes(session: Session, found: Sequence[Mapping[str, Any]]) -> None:
    """What is asked of each node (see `Target.nodes`) of what it has."""
    for node in found:
        cpu, memory = node["cpu"], node["memory"]
        session.print(
            f"node {node['name']}: {cpu['requested']:.2f} of {cpu['allocatable']:.0f} CPUs and "
            f"{memory['requested'] / 2**30:.2f} of {memory['allocatable'] / 2**30:.1f} GiB are asked for"
        )


def age(seconds: float) -> str:
    """A duration in its largest fitting unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
