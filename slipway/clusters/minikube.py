"""A Minikube on a host: started as the environment says, stopped, deleted; minikube's own events are the progress."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.config import quantity
from slipway.config.models import ClusterSpec
from slipway.docker.protocols import Daemon
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import NextCommand, Problem, UsageError
from slipway.hosts import locks
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Host, Result, script, step_prefix
from slipway.installers.bundle import image_tag

PROFILE = "minikube"
PROVISIONER = "gcr.io/k8s-minikube/storage-provisioner:v5"
SPARE = {"memory": 512 * 2**20, "disk": 10 * 2**30}  # bytes that must be left, and that a cluster's images take
START_ATTEMPTS = 2

REPLACE_HINT = "delete it with everything on it; the next deploy creates a new one"


def require_capacity(facts: Facts, cluster: ClusterSpec) -> None:
    """Raise Problem, with the figures, if the machine is too small for the cluster."""
    want = quantity.parse_minikube_memory(cluster.memory) + SPARE["memory"]
    lacking = []
    if facts.memory and facts.memory < want:
        lacking.append(f"memory: {facts.memory / 2**30:.1f} GiB free, {want / 2**30:.1f} GiB wanted")
    if facts.cpus and facts.cpus < cluster.cpus:
        lacking.append(f"CPUs: {facts.cpus} here, {cluster.cpus} wanted")
    if facts.disk and facts.disk < SPARE["disk"]:
        lacking.append(f"disk: {facts.disk / 2**30:.1f} GiB free, {SPARE['disk'] / 2**30:.0f} GiB wanted")
    if lacking:
        hint = "free some, or lower `cluster` in the environment's file"
        raise Problem("this machine is too small for the cluster", details="\n".join(lacking), hint=hint)


def require_runtime(runtimes: Collection[str], cluster: ClusterSpec) -> None:
    """Raise UsageError if the nodes have another container runtime than `cluster`.

    `runtimes` are `containerRuntimeVersion`s as Kubernetes reports them: docker://28.4.0.
    """
    others = sorted(one for one in runtimes if not one.startswith(f"{cluster.runtime}://"))
    if others:
        what = f"the running Minikube uses {', '.join(others)}"
        summary = f"{what}, but {cluster.runtime} is wanted: images can't be delivered to it"
        raise UsageError(summary, hint=REPLACE_HINT, commands=[NextCommand("cluster.delete")])


def start_command(cluster: ClusterSpec, tags: Collection[str], facts: Facts) -> Command:
    """The command that starts the cluster, or creates it. `tags` are those of the images on the host's Docker.

    The node sees the whole memory of the machine: what the cluster may not have of it is reserved, so that the
    scheduler and `status` count with what was asked for.
    """
    memory = quantity.parse_minikube_memory(cluster.memory) // 2**20
    others = facts.total_memory // 2**20 - memory
    reserved = (f"--extra-config=kubelet.system-reserved=memory={others}Mi",) if others > 0 else ()
    node = image_tag("node")
    offline = ("--base-image", node, "--preload=false") if node in tags else ()
    addons = ("--install-addons=false",) if offline and PROVISIONER not in tags else ()
    argv = (
        "minikube",
        "start",
        f"--profile={PROFILE}",
        f"--driver={cluster.driver}",
        f"--container-runtime={cluster.runtime}",
        f"--kubernetes-version=v{cluster.kubernetes}",
        f"--cpus={cluster.cpus}",
        f"--memory={memory}mb",
        "--cni=bridge",
        "--wait=apiserver,node_ready",
        "--embed-certs",
        "--interactive=false",
        "--output=json",
    )
    forced = ("--force",) if facts.root else ()
    return Command((*argv, *reserved, *offline, *addons, *forced), timeout=1200, idle=600, resumable=True)


def in_docker_group(command: Command, facts: Facts) -> Command:
    """The command run in group `docker`, where its user was added to it only after this login session began."""
    if facts.root or "docker" in facts.groups or "docker" not in facts.enrolled:
        return command
    return replace(command, argv=("sg", "docker", "-c", command.line))


def start(host: Host, daemon: Daemon, cluster: ClusterSpec, tags: Collection[str], report: Reporter) -> bool:
    """Start the cluster, or create it; whether its node was there. A cluster whose creation fails is created once more.

    `daemon` has the node's container. Where that is gone, what is left of the cluster is deleted first: with an old
    volume, which none of minikube's files mentions, the new kubelet could not join, and minikube would wait for it.
    Raises Problem with minikube's own errors and advice.
    """
    facts = host.probe.facts()
    lock, holder = locks.user_lock_path(f"minikube-{step_prefix(host)}"), "a `minikube start` that is still running"
    with locks.file_lock(lock, holder, report.waiting_for, report.cancel) as descriptor:
        command = in_docker_group(start_command(cluster, tags, facts), facts)
        command = replace(command, pass_fds=(descriptor,))
        known, has_node = has_context(host, report), daemon.containers.find(PROFILE) is not None
        if known and not has_node:
            report.note("the container of its node is gone, and the cluster with it: creating a new one")
        if not has_node:
            delete(host, null_reporter(report.cancel))  # minikube lists what it deleted even where there was nothing
        if known and has_node:
            _start(host, command, report)
        else:
            _create(host, command, report)
    return has_node


def _start(host: Host, command: Command, report: Reporter) -> None:
    if failure := _run(host, command, report):
        raise failure.problem


def _create(host: Host, command: Command, report: Reporter) -> None:
    for _ in range(START_ATTEMPTS - 1):
        failure = _run(host, command, report)
        if failure is None:
            return
        report.note(f"minikube failed: {failure.summary}")
        report.note("deleting the incomplete cluster and creating a new one")
        delete(host, report)
    _start(host, command, report)


@dataclass(frozen=True)
class Failure:
    """What minikube reported when it could not start the cluster."""

    errors: tuple[str, ...]
    advice: str
    stderr: str

    @property
    def summary(self) -> str:
        """Its last error, cut to a line's length."""
        return (self.errors or ("no error message",))[-1][:200]

    @property
    def problem(self) -> Problem:
        """The failure as an error, with minikube's advice."""
        details = "\n".join((*self.errors[-8:], self.stderr[-1500:])).strip()
        summary, hint = "the cluster could not be started", self.advice or f"minikube logs; {REPLACE_HINT}"
        return Problem(
            summary, details=details, hint=hint, commands=() if self.advice else [NextCommand("cluster.delete")]
        )


def _run(host: Host, command: Command, report: Reporter) -> Failure | None:
    events = Events(report)
    result = host.run(command, events.reporter())
    if result.exit_code == 0:
        return None
    return Failure(tuple(events.errors), events.advice, result.stderr.decode(errors="replace"))


@dataclass
class Events:
    """Minikube's own events (`--output=json`), as progress and notes; its errors and advice are collected."""

    report: Reporter
    errors: list[str] = field(default_factory=list)
    advice: str = ""

    def reporter(self) -> Reporter:
        """The reporter of a command whose lines of output are such events."""
        return replace(self.report, emit=self.emit)

    def emit(self, event: Event) -> None:
        """Take one line of output; what is no event of minikube's is output as it is."""
        if not isinstance(event, Output):
            return
        try:
            line: dict[str, Any] = json.loads(event.text)
            data, kind = line["data"], line["type"].rpartition(".")[2]
        except (ValueError, KeyError, TypeError):
            self.report.output(event.stream, event.text)
            return
        if kind == "step":
            self.report.progress(float(data["currentstep"]), float(data["totalsteps"]), "steps")
            self.report.note(data["message"])
        elif kind == "error":
            if data.get("name") or data.get("advice"):
                self.advice = data.get("advice", "") or self.advice
            if not data["message"].startswith("╭"):
                self.errors.append(data["message"])
        elif kind == "warning":
            self.report.output("stderr", data["message"])


def delete(host: Host, report: Reporter) -> None:
    """Delete the cluster and everything on it."""
    _minikube(host, "delete", report).raise_for_status("the cluster could not be deleted")


def stop(host: Host, report: Reporter) -> None:
    """Stop the cluster; what is on it stays."""
    _minikube(host, "stop", report).raise_for_status("the cluster could not be stopped")


def _minikube(host: Host, action: str, report: Reporter) -> Result:
    command = Command(("minikube", action, f"--profile={PROFILE}"), timeout=300)
    return host.run(in_docker_group(command, host.probe.facts()), report)


def has_context(host: Host, report: Reporter) -> bool:
    """Whether the user's kubeconfig has the cluster's context, which minikube writes once a cluster was created."""
    command = script(f"kubectl config get-contexts -o name | grep -qx {PROFILE}", timeout=30)
    return host.run(command, report).exit_code == 0
