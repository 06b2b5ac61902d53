"""The log lines and warnings of a service's pods: all copies at once, followed over restarts and new pods."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from slipway.errors import Problem, Unreachable
from slipway.kubernetes.manifests.labels import selector
from slipway.kubernetes.objects import Object
from slipway.kubernetes.rollout import Place

AGAIN = 1.0  # seconds between two looks for new pods
RECENT = 600  # seconds that a warning is worth a line


def tails(place: Place, tail: int) -> Iterator[str]:
    """The last lines of every pod."""
    for pod in _pods(place):
        name = pod["metadata"]["name"]
        try:
            for line in place.cluster.stream(_path(place, name), {"tailLines": str(tail)}):
                yield f"{name} {line.decode(errors='replace')}"
        except Problem as problem:
            if isinstance(problem, Unreachable):
                raise
            yield f"{name} has no log: {problem.details}"  # it has not started yet, or is gone by now


def followed(place: Place, tail: int) -> Iterator[str]:
    """Lines as they come, from pods that are there and that come later; a broken line is taken up where it broke."""
    lines: queue.Queue[str] = queue.Queue()
    known: set[str] = set()
    while True:
        try:
            for pod in _pods(place):
                name = pod["metadata"]["name"]
                if name not in known and pod.get("status", {}).get("phase") != "Pending":
                    known.add(name)
                    threading.Thread(target=_one, args=(place, name, tail, lines), daemon=True).start()
        except Problem:
            pass  # the API is away for a moment: what is followed goes on, and new pods are found later
        deadline = time.monotonic() + AGAIN
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield lines.get(timeout=left)
            except queue.Empty:
                break


def _one(place: Place, pod: str, tail: int, lines: queue.Queue[str]) -> None:
    query = {"follow": "true", "timestamps": "true", "tailLines": str(tail)}
    last = ""
    while True:
        heard = moment(last)
        with suppress(Problem):  # the API or the node is away for a moment, or the container is not there yet
            for line in place.cluster.stream(_path(place, pod), query):
                stamp, _, text = line.decode(errors="replace").partition(" ")
                if moment(stamp) > heard:
                    last = stamp
                    lines.put(f"{pod} {text}")
        with suppress(Problem):
            if place.cluster.get("v1", "Pod", pod, place.namespace) is None:
                return
        time.sleep(AGAIN)
        if last:  # of whole seconds only: lines of the last one come again
            query = {"follow": "true", "timestamps": "true", "sinceTime": last}


def moment(stamp: str) -> tuple[str, str]:
    """A line's time (RFC 3339, with as many digits of a second as there are), so that two of a pod can be compared."""
    seconds, rest = stamp[:19], stamp[19:].lstrip(".")
    return seconds, re.split(r"[Z+-]", rest)[0].ljust(9, "0")


def _pods(place: Place) -> list[Object]:
    return place.cluster.list("v1", "Pod", place.namespace, selector(place.project, place.service))


def _path(place: Place, pod: str) -> str:
    return f"/api/v1/namespaces/{place.namespace}/pods/{pod}/log"


def warnings(events: Sequence[Object], unready: Collection[str], now: datetime) -> list[str]:
    """Warnings that are recent, each once with its count; not of probes that pods which are well by now once failed."""
    found = []
    for event in events:
        when = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
        age = (now - datetime.fromisoformat(when)).total_seconds()
        if event.get("type") == "Warning" and age < RECENT:
            name = event.get("involvedObject", {}).get("name", "")
            if event.get("reason") == "Unhealthy" and name not in unready:
                continue
            count = event.get("count") or 1
            found.append((age, f"{name}: {event.get('reason')}: {event.get('message')} (x{count})"))
    return [text for _, text in sorted(found, reverse=True)]
