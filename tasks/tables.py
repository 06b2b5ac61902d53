"""Tables, cluster nodes and durations, as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.ui.session import Session


def print_table(session: Session, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print aligned columns, which `awk` can split as well."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        session.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_nodes(session: Session, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Print what the pods of each node request of its CPUs and memory (bytes)."""
    for node in nodes:
        cpu, memory = node["cpu"], node["memory"]
        session.print(
            f"node {node['name']}: {cpu['requested']:.2f} of {cpu['allocatable']:.0f} CPUs and "
            f"{memory['requested'] / 2**30:.2f} of {memory['allocatable'] / 2**30:.1f} GiB requested"
        )


def format_age(seconds: float) -> str:
    """A duration in its largest unit: `3 d`, `5 h`, `12 m`, `40 s`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
