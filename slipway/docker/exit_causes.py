"""Why a container ended, in words of what can be done: from its exit, its limit and its last lines. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOLD, KILLED = 143, 137  # 128 + SIGTERM, SIGKILL
FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")  # where a stack trace passed; what it is of stands before
JAVA = {52: 8, 55: 11, 61: 17, 65: 21, 67: 23, 69: 25}  # class file major version: Java release (JVM specification 4.1)


@dataclass(frozen=True)
class Cause:
    """One cause. `final`: waiting can't heal it; otherwise a rollout gives it a while."""

    summary: str
    hint: str
    final: bool = False


def ended(code: int, limit: str, log: str, *, oom: bool, restarts: int = 0) -> Cause:
    """The cause of a container's end. `limit` is its memory's, as its service file says it."""
    if oom:
        summary = f"OOMKilled: it wanted more than its memory limit of {limit}"
        return Cause(summary, "raise resources.memory, or lower the JVM's heap (MaxRAMPercentage) so that both fit")
    if "exec format error" in log:
        summary = "its program is for another platform (exec format error)"
        return Cause(summary, "build the image for the platform of what runs it", final=True)
    if found := re.search(r"class file version (\d+)\.\d+\).*?up to (\d+)\.", log, re.DOTALL):
        want, have = (JAVA.get(int(found[i]), int(found[i]) - 44) for i in (1, 2))
        summary = f"its classes are compiled for Java {want}, and the image has Java {have}"
        return Cause(summary, "compile for the image's Java, or take a newer base")
    if found := re.search(r"UnknownHostException: (\S+)", log):
        summary = f"it can't resolve the name {found[1].rstrip(':')}"
        return Cause(summary, "is that service deployed (`needs`), and does the cluster's DNS run?")
    if "OutOfMemoryError" in log:
        return Cause(f"the JVM's heap was full (limit {limit})", "raise resources.memory, or MaxRAMPercentage")
    lines = [line.strip() for line in log.splitlines() if line.strip() and not FRAME.match(line)]
    last = " | ".join(lines[-3:])
    said = f"; its last lines: {last}" if last else ""
    times = f" ({restarts} restarts)" if restarts else ""
    signals = {
        TOLD: " (SIGTERM): stopped by its liveness probe, by a person, or with Docker",
        KILLED: f" (SIGKILL): probably out of memory (limit {limit})",
    }
    summary = f"it ended with exit code {code}{signals.get(code, '')}{times}{said}"
    if code == TOLD:
        return Cause(
            summary, "is Docker running? ./invoke setup starts it; otherwise look at `health` and its last lines"
        )
    if code == KILLED:
        return Cause(summary, "was it its memory? then raise resources.memory; its last lines may say more")
    return Cause(summary, "its last lines say why; ./invoke smoke runs the same image here")


def silent_port(port: object) -> Cause:
    """The cause of a port on which nobody answers."""
    summary = f"nothing listens on port {port}, which the readiness check uses"
    return Cause(summary, "is `port` what the service listens on?")


def wrong_path(path: str, status: str) -> Cause:
    """The cause of a readiness path that answers something else than 200."""
    return Cause(f"{path} answers {status}", "is health.ready the right path, and is it ready?")
