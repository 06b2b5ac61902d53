"""A picture of who needs whom, as SVG: callers above, what they need below them, stores as cylinders at the bottom."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 132, 52  # of a box, in pixels
ACROSS, DOWN, MARGIN = 34, 70, 24  # between boxes, between rows, around all
SWEEPS = 8  # down and up again; orders of a dozen boxes have settled by then
STYLE = """
  .paper { fill: #ffffff }
  .box { fill: #ddf4ff; stroke: #1f2328 }
  .store { fill: #fff8c5; stroke: #1f2328 }
  .needs { fill: none; stroke: #1f2328; stroke-width: 1.4 }
  .implied { stroke: #8c959f; stroke-dasharray: 4 4 }
  .tip, text { fill: #1f2328 }
  text { font-family: system-ui, sans-serif; font-size: 14px; text-anchor: middle }
  .port { font-size: 11px }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 }
    .box { fill: #0c2d6b; stroke: #f0f6fc }
    .store { fill: #4b2900; stroke: #f0f6fc }
    .needs { stroke: #f0f6fc }
    .implied { stroke: #9198a1 }
    .tip, text { fill: #f0f6fc }
  }
"""  # colours stand as they are: only browsers know variables

TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>'
)


@dataclass(frozen=True)
class Box:
    """One service of the picture. `store`: it is a backing service, built by nobody here."""

    name: str
    port: int
    needs: tuple[str, ...] = ()
    store: bool = False


@dataclass(frozen=True)
class Bend:
    """Where an edge passes a row in which it neither begins nor ends."""

    caller: str
    need: str
    rank: int


Place = str | Bend


def ranks(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How far each is from those that need nothing: its longest chain of needs."""
    found: dict[str, int] = {}

    def rank(name: str) -> int:
        if name not in found:
            found[name] = max((rank(need) + 1 for need in needs[name]), default=0)
        return found[name]

    for name in sorted(needs):
        rank(name)
    return found


def rows(needs: Mapping[str, Sequence[str]]) -> list[list[Place]]:
    """The boxes and bends of each rank, rank 0 first, ordered so that edges cross little (Sugiyama's barycentres)."""
    rank = ranks(needs)
    found: list[list[Place]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    beside: dict[Place, list[Place]] = {}
    for name in sorted(needs):
        found[rank[name]].append(name)
        for need in sorted(needs[name]):
            chain = way(name, need, rank)
            for place in chain[1:-1]:
                found[rank[need] + len(chain) - 1 - chain.index(place)].append(place)
            for upper, lower in itertools.pairwise(chain):
                beside.setdefault(upper, []).append(lower)
                beside.setdefault(lower, []).append(upper)
    for sweep in range(SWEEPS):
        order = found if sweep % 2 == 0 else found[::-1]
        for fixed, row in itertools.pairwise(order):
            at = {place: (index + 0.5) / len(fixed) for index, place in enumerate(fixed)}
            middle = {place: [at[one] for one in beside.get(place, ()) if one in at] for place in row}
            now = {place: (index + 0.5) / len(row) for index, place in enumerate(row)}
            row.sort(key=lambda p: sum(middle[p]) / len(middle[p]) if middle[p] else now[p])
    return found


def way(caller: str, need: str, rank: Mapping[str, int]) -> list[Place]:
    """The places that an edge passes, from the caller down."""
    return [caller, *(Bend(caller, need, r) for r in range(rank[caller] - 1, rank[need], -1)), need]


def implied(needs: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """The edges that follow from others: who needs `order` needs what `order` needs."""

    def under(name: str) -> set[str]:
        return {one for need in needs[name] for one in (need, *under(need))}

    return {(name, need) for name in needs for need in needs[name] if any(need in under(o) for o in needs[name])}


def svg(boxes: Iterable[Box], title: str) -> str:
    """The picture, the same text for the same services."""
    named = {box.name: box for box in boxes}
    needs = {name: box.needs for name, box in named.items()}
    rank, layers = ranks(needs), rows(needs)[::-1]
    widest = max((len(row) for row in layers), default=1)
    width = MARGIN * 2 + widest * WIDTH + (widest - 1) * ACROSS
    height = MARGIN * 2 + max(len(layers), 1) * HEIGHT + (max(len(layers), 1) - 1) * DOWN
    at: dict[Place, tuple[float, float]] = {}
    for number, row in enumerate(layers):
        left = (width - len(row) * WIDTH - (len(row) - 1) * ACROSS) / 2
        for index, place in enumerate(row):
            at[place] = (left + index * (WIDTH + ACROSS) + WIDTH / 2, MARGIN + number * (HEIGHT + DOWN) + HEIGHT / 2)
    thin = implied(needs)
    edges = [
        _edge([at[place] for place in way(name, need, rank)], faint=(name, need) in thin)
        for name in sorted(needs)
        for need in sorted(needs[name])
    ]
    words = "; ".join(f"{name} needs {', '.join(needs[name]) or 'nothing'}" for name in sorted(needs))
    size = f'width="{width}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(words)}</desc>",
        f"<style>{STYLE}</style>",
        TIP,
        f'<rect class="paper" {size}/>',
        *edges,
        *(_box(named[name], *at[name]) for name in sorted(named)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _edge(points: Sequence[tuple[float, float]], *, faint: bool) -> str:
    """A curve that leaves a box downwards, passes its bends straight, and enters the other from above."""
    points = [(points[0][0], points[0][1] + HEIGHT / 2), *points[1:-1], (points[-1][0], points[-1][1] - HEIGHT / 2)]
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        half = (y1 + y2) / 2
        path += f" C{x1:g} {half:g} {x2:g} {half:g} {x2:g} {y2:g}"
    return f'<path class="needs{" implied" if faint else ""}" d="{path}" marker-end="url(#tip)"/>'


def _box(box: Box, x: float, y: float) -> str:
    left, top, curve = x - WIDTH / 2, y - HEIGHT / 2, 7
    if box.store:
        shape = (
            f'<path class="store" d="M{left:g} {top + curve:g} a{WIDTH / 2:g} {curve} 0 0 1 {WIDTH} 0 '
            f"v{HEIGHT - 2 * curve} a{WIDTH / 2:g} {curve} 0 0 1 {-WIDTH} 0 z "
            f'M{left + WIDTH:g} {top + curve:g} a{WIDTH / 2:g} {curve} 0 0 1 {-WIDTH} 0"/>'
        )
    else:
        shape = f'<rect class="box" x="{left:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    down = curve / 2 if box.store else 0
    return (
        f'<g>{shape}<text x="{x:g}" y="{y + down - 2:g}">{escape(box.name)}</text>'
        f'<text class="port" x="{x:g}" y="{y + down + 14:g}">{box.port}</text></g>'
    )
