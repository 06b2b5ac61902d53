"""The log lines of a service's pods, followed over restarts and new pods; the warnings of a namespace."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from slipway.errors import Problem, Unreachable
from slipway.kubernetes.objects import Object
from slipway.kubernetes.workload import Workload

POLL = 1.0  # seconds between two looks for new pods
RECENT = 600  # seconds for which a warning is shown


def tails(workload: Workload, tail: int) -> Iterator[str]:
    """The last lines of every pod's own container: others may have been injected."""
    for pod in workload.pods():
        name = pod["metadata"]["name"]
        try:
            for line in workload.cluster.stream(
                workload.log_path(name), {"tailLines": str(tail), "container": workload.service}
            ):
                yield f"{name} {line.decode(errors='replace')}"
        except Unreachable:
            raise
        except Problem as problem:
            yield f"{name} has no log: {problem.details}"  # it has not started yet, or is gone by now


def followed(workload: Workload, tail: int) -> Iterator[str]:
    """Lines as they come, of pods that exist now or later. Where a connection breaks, its lines go on from there."""
    lines: queue.Queue[str] = queue.Queue()
    known: set[str] = set()
    while True:
        try:
            for pod in workload.pods():
                name = pod["metadata"]["name"]
                if name not in known and pod.get("status", {}).get("phase") != "Pending":
                    known.add(name)
                    threading.Thread(target=_follow, args=(workload, name, tail, lines), daemon=True).start()
        except Problem:
            pass  # the API is unreachable for a moment: known pods are still followed, and new ones found later
        deadline = time.monotonic() + POLL
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield lines.get(timeout=left)
            except queue.Empty:
                break


def _follow(workload: Workload, pod: str, tail: int, lines: queue.Queue[str]) -> None:
    """Put a pod's lines into the queue until the pod is gone, each once."""
    query = {"follow": "true", "timestamps": "true", "tailLines": str(tail), "container": workload.service}
    last = ""
    while True:
        resumed_at = timestamp(last)
        with suppress(Problem):  # the API or the node is unreachable for a moment, or the container does not exist yet
            for line in workload.cluster.stream(workload.log_path(pod), query):
                stamp, _, text = line.decode(errors="replace").partition(" ")
                if timestamp(stamp) > resumed_at:
                    last = stamp
                    lines.put(f"{pod} {text}")
        with suppress(Problem):
            if workload.cluster.get("v1", "Pod", pod, workload.namespace) is None:
                return
        time.sleep(POLL)
        if last:  # sinceTime counts whole seconds: lines of the last one come again
            query = {"follow": "true", "timestamps": "true", "sinceTime": last, "container": workload.service}


def timestamp(text: str) -> tuple[str, str]:
    """The time of a log line (RFC 3339, with any number of digits after the second), comparable with another's."""
    seconds, rest = text[:19], text[19:].lstrip(".")
    return seconds, re.split(r"[Z+-]", rest)[0].ljust(9, "0")


def warnings(events: Sequence[Object], unready: Collection[str], now: datetime) -> list[str]:
    """Recent warnings, newest last, each with its count. Failed probes count only of pods that are `unready` still."""
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
