"""Why a container exited and what to do about it, from its exit code, its memory limit and its last log lines. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.errors import NextCommand, Problem

TERMINATED, KILLED = 143, 137  # 128 + SIGTERM, SIGKILL
STACK_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")  # of a Java stack trace; the exception is in front of them
START_HINT = (  # Java's launcher, sun.launcher.resources: java.launcher.jar.error3, java.launcher.cls.error1
    "project.clj needs `:main NAMESPACE`, `:aot` for it and (:gen-class) in that namespace; without AOT, let the "
    "Dockerfile start `java -cp app.jar clojure.main -m NAMESPACE`"
)
JAVA = {52: 8, 55: 11, 61: 17, 65: 21, 67: 23, 69: 25}  # class file major version: Java release (JVM specification 4.1)


@dataclass(frozen=True)
class Cause:
    """One cause. `final`: waiting can't help; otherwise a rollout waits for a while before it fails.

    `patience` is how many seconds it is waited for, where that is longer than usual.
    """

    summary: str
    hint: str
    final: bool = False
    commands: tuple[NextCommand, ...] = ()
    patience: float = 0.0

    def problem(self, subject: str, details: str = "") -> Problem:
        """The cause as the error of `subject`."""
        return Problem(f"{subject}: {self.summary}", details=details, hint=self.hint, commands=self.commands)


def exit_cause(code: int, limit: str, log: str, *, oom: bool, restarts: int = 0) -> Cause:
    """Why a container exited. `limit` is its memory limit as the service file has it, `log` its last lines."""
    if oom:
        summary = f"OOMKilled: it exceeded its memory limit of {limit}"
        return Cause(summary, "raise resources.memory, or lower the JVM's heap (MaxRAMPercentage) so that both fit")
    if "exec format error" in log:
        summary = "its program is for another platform (exec format error)"
        return Cause(summary, "build the image for the platform of the host that runs it", final=True)
    if found := re.search(r"class file version (\d+)\.\d+\).*?up to (\d+)\.", log, re.DOTALL):
        want, have = (JAVA.get(int(found[i]), int(found[i]) - 44) for i in (1, 2))
        summary = f"its classes are compiled for Java {want}, and the image has Java {have}"
        return Cause(summary, "compile for the image's Java version, or use a newer base image")
    if found := re.search(r"no main manifest attribute, in (\S+)|Could not find or load main class (\S+)", log):
        summary = f"{found[1]} has no Main-Class" if found[1] else f"its class path has no class {found[2]}"
        return Cause(f"{summary} to start", START_HINT, final=True)
    if found := re.search(r"UnknownHostException: (\S+)", log):
        summary = f"it can't resolve the name {found[1].rstrip(':')}"
        return Cause(summary, "check that the service is deployed (`needs`) and that DNS works where it runs")
    if "OutOfMemoryError" in log:
        return Cause(f"the JVM ran out of heap memory (limit {limit})", "raise resources.memory, or MaxRAMPercentage")
    lines = [line.strip() for line in log.splitlines() if line.strip() and not STACK_FRAME.match(line)]
    last = " | ".join(lines[-3:])
    ending = f"; its last lines: {last}" if last else ""
    times = f" ({restarts} restarts)" if restarts else ""
    signals = {
        TERMINATED: " (SIGTERM): stopped by its liveness probe, by hand, or with Docker",
        KILLED: f" (SIGKILL): probably out of memory (limit {limit})",
    }
    summary = f"it exited with code {code}{signals.get(code, '')}{times}{ending}"
    if code == TERMINATED:
        hint = "check `health` and its last lines; if Docker stopped, setup starts it"
        return Cause(summary, hint, commands=(NextCommand("setup"),))
    if code == KILLED:
        return Cause(summary, "it may have run out of memory: raise resources.memory; its last lines may say more")
    return Cause(summary, "see its last lines; a smoke test runs the same image here", commands=(NextCommand("smoke"),))


def nothing_listens(port: object) -> Cause:
    """The cause of a port on which nothing listens."""
    summary = f"nothing listens on port {port}, which the readiness check uses"
    return Cause(summary, "check that `port` is the port that the service listens on")


def wrong_path(path: str, status: str) -> Cause:
    """The cause of a readiness path that does not answer with success. `status` is HTTP's."""
    return Cause(f"{path} answers {status}", "check that health.ready is the right path")
