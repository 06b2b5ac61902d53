"""The services of a project and what they need, as a Mermaid flowchart: GitHub and many editors draw it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

RESERVED = {"class", "click", "default", "direction", "end", "flowchart", "graph", "style", "subgraph"}  # as node ids


@dataclass(frozen=True)
class Node:
    """A service. `store`: a backing service, built by nobody here, such as a database."""

    name: str
    port: int
    needs: tuple[str, ...] = ()
    store: bool = False


def flowchart(nodes: Iterable[Node], title: str) -> str:
    """Callers above what they need; stores are cylinders, and an arrow that follows from others is dotted.

    The same services give the same text, in whatever order they come.
    """
    by_name = {node.name: node for node in sorted(nodes, key=_by_name)}
    indirect = implied({name: node.needs for name, node in by_name.items()})
    lines = ["---", f"title: {json.dumps(title)}", "---", "flowchart TD"]
    for name, node in by_name.items():
        opening, closing = ("[(", ")]") if node.store else ("[", "]")
        lines.append(f'    {node_id(name)}{opening}"{name}<br/>{node.port}"{closing}')
    for name, node in by_name.items():
        for need in sorted(node.needs):
            arrow = "-.->" if (name, need) in indirect else "-->"
            lines.append(f"    {node_id(name)} {arrow} {node_id(need)}")
    return "\n".join(lines) + "\n"


def _by_name(node: Node) -> str:
    return node.name


def node_id(service: str) -> str:
    """A service's name as Mermaid takes it for a node's id: `--` would begin an arrow, and some words are its own."""
    return f"{service}_" if service in RESERVED else service.replace("-", "_")


def implied(needs: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """The arrows that follow from others: who needs `order` needs what `order` needs."""

    def transitive(name: str) -> set[str]:
        return {found for need in needs[name] for found in (need, *transitive(need))}

    return {
        (name, need)
        for name in needs
        for need in needs[name]
        if any(need in transitive(other) for other in needs[name])
    }
