"""A Minikube on a host: kubectl, minikube, the cluster started as the environment says, its own events as progress."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from slipway.config import quantity
from slipway.config.models import Cluster
from slipway.config.versions import Binary, Tools
from slipway.docker.protocols import Daemon
from slipway.engine.events import Event, Output
from slipway.engine.steps import Change, Reporter, Step, function_step, null_reporter
from slipway.errors import Problem, UsageError
from slipway.hosts import locks
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Host, Privilege, script, step_prefix, step_title
from slipway.installers.bundle import Bundle, local
from slipway.installers.download import fetch

PROFILE = "minikube"
BIN = "/usr/local/bin"
LIB = "/usr/local/lib/slipway"  # NAME-VERSION, so that a probe reads the version off the name
PROVISIONER = "gcr.io/k8s-minikube/storage-provisioner:v5"
SPARE = {"memory": 512 * 2**20, "disk": 10 * 2**30}  # bytes that must be left, and that a cluster's images take


def steps(
    host: Host, want: Tools, cluster: Cluster, bundle: Bundle | None, after: tuple[str, ...]
) -> Iterator[Step[Facts]]:
    """The programs on a host, kubectl and minikube, and with a bundle what minikube puts into its node."""
    for name, tool in (("kubectl", want.kubectl), ("minikube", want.minikube)):
        if tool:
            yield program(host, name, tool, cluster, bundle, after)
    if bundle:
        yield function_step(
            id=f"{step_prefix(host)}/kubernetes",
            title=step_title(host, f"Kubernetes {cluster.kubernetes} from the bundle"),
            probe=host.probe,
            check=lambda facts: files_differ(facts, bundle, cluster),
            apply=lambda report: _copy(host, bundle, cluster, report),
            after=after,
        )


def kubectl(host: Host, want: Tools, bundle: Bundle | None) -> Iterator[Step[Facts]]:
    """Kubectl alone, for a cluster whose version is not Slipway's to choose."""
    if want.kubectl:
        yield program(host, "kubectl", want.kubectl, None, bundle, ())


def program(
    host: Host, name: str, tool: Binary, cluster: Cluster | None, bundle: Bundle | None, after: tuple[str, ...]
) -> Step[Facts]:
    """A program on a host, which fits the cluster that is made there, if one is."""
    return function_step(
        id=f"{step_prefix(host)}/{name}",
        title=step_title(host, f"{name} {tool.minimum} or newer" if cluster else name),
        probe=host.probe,
        check=lambda facts: tool_differs(facts, name, tool, cluster),
        apply=lambda report: _install(host, name, tool, bundle, report),
        after=after,
        lane=host.packages,
    )


def tool_differs(facts: Facts, name: str, tool: Binary, cluster: Cluster | None) -> Change | None:
    """Why a program must be installed, or None. kubectl must be within one minor version of a cluster made here."""
    have = facts.tools.get(name, "")
    if not have:
        return Change(f"{name} is not installed")
    if cluster is None:
        return None
    try:
        found = Version(have)
    except InvalidVersion:
        return Change(f"{name} says that it is {have!r}")
    if name == "kubectl":
        minor = Version(cluster.kubernetes).minor
        if abs(found.minor - minor) > 1:
            return Change(f"kubectl {have} is more than one minor version from Kubernetes {cluster.kubernetes}")
    elif found < Version(tool.minimum):
        return Change(f"{name} {have} is older than {tool.minimum}")
    return None


def files_differ(facts: Facts, bundle: Bundle, cluster: Cluster) -> Change | None:
    """Why minikube's own cache lacks what the bundle has for the node."""
    there = facts.kubernetes.get(f"v{cluster.kubernetes}", ())
    missing = [file.name for file in bundle.of("cluster") if file.name not in there]
    return Change(f"{', '.join(missing)} not in minikube's cache") if missing else None


def _install(host: Host, name: str, tool: Binary, bundle: Bundle | None, report: Reporter) -> None:
    platform, version = host.probe.facts().platform, tool.version
    path = bundle.find("tool", name, platform) if bundle else None
    if bundle and path:
        version = next(file.version for file in bundle.of("tool") if (file.name, file.platform) == (name, platform))
    else:
        wanted = tool.platforms.get(platform)
        if wanted is None:
            summary = f"no {name} is pinned for {platform}"
            raise UsageError(summary, hint=f"add it to config/tools.yaml, or install {name} by hand")
        path = Path(fetch(wanted.url, wanted.sha256, report))
    place = f"{LIB}/{name}-{version}"
    host.upload(path, place, 0o755, Privilege.ROOT, report)
    link = Command(("ln", "-sfn", place, f"{BIN}/{name}"), privilege=Privilege.ROOT, timeout=30)
    host.run(link, report).raise_for_status(f"{BIN}/{name} could not be made")


def _copy(host: Host, bundle: Bundle, cluster: Cluster, report: Reporter) -> None:
    facts = host.probe.facts()
    folder = f"{facts.minikube_home}/cache/linux/{facts.platform.rpartition('/')[2]}/v{cluster.kubernetes}"
    for index, file in enumerate(bundle.of("cluster")):
        report.progress(index, len(bundle.of("cluster")), "files")
        host.upload(bundle.checked(file), f"{folder}/{file.name}", 0o755, Privilege.USER, report)


def start(cluster: Cluster, tags: Collection[str], *, root: bool) -> Command:
    """The command that starts the cluster, or makes it. `tags` are the images that this Docker has already."""
    node = local("node")
    offline = ("--base-image", node, "--preload=false") if node in tags else ()
    addons = ("--install-addons=false",) if offline and PROVISIONER not in tags else ()
    words = (
        "minikube",
        "start",
        f"--profile={PROFILE}",
        f"--driver={cluster.driver}",
        f"--container-runtime={cluster.runtime}",
        f"--kubernetes-version=v{cluster.kubernetes}",
        f"--cpus={cluster.cpus}",
        f"--memory={quantity.parse_minikube_memory(cluster.memory) // 2**20}mb",
        "--cni=bridge",
        "--wait=apiserver,node_ready",
        "--embed-certs",
        "--interactive=false",
        "--output=json",
    )
    return Command((*words, *offline, *addons, *(("--force",) if root else ())), timeout=1200, idle=600, resumable=True)


def enrolled(command: Command, facts: Facts) -> Command:
    """The command under group `docker`, where its user joined that group only after this login session began."""
    if facts.root or "docker" in facts.groups or "docker" not in facts.enrolled:
        return command
    return replace(command, argv=("sg", "docker", "-c", command.line))


def room(facts: Facts, cluster: Cluster) -> None:
    """Raise Problem, with the figures, if the machine is too small for the cluster."""
    want = quantity.parse_minikube_memory(cluster.memory) + SPARE["memory"]
    short = []
    if facts.memory and facts.memory < want:
        short.append(f"memory: {facts.memory / 2**30:.1f} GiB free, {want / 2**30:.1f} GiB wanted")
    if facts.cpus and facts.cpus < cluster.cpus:
        short.append(f"CPUs: {facts.cpus} here, {cluster.cpus} wanted")
    if facts.disk and facts.disk < SPARE["disk"]:
        short.append(f"disk: {facts.disk / 2**30:.1f} GiB free, {SPARE['disk'] / 2**30:.0f} GiB wanted")
    if short:
        hint = "make room, or lower `cluster` in the environment's file"
        raise Problem("this machine is too small for the cluster", details="\n".join(short), hint=hint)


def runtime(found: Collection[str], cluster: Cluster) -> None:
    """Raise Problem if a Minikube that runs has nodes with another runtime, as Kubernetes tells it: docker://28.4.0."""
    others = sorted(one for one in found if not one.startswith(f"{cluster.runtime}://"))
    if others:
        summary = (
            f"the Minikube that runs has {', '.join(others)}, and {cluster.runtime} is wanted: images can't reach it"
        )
        hint = "./invoke cluster.delete removes it and all that is on it; the next deploy makes it anew"
        raise UsageError(summary, hint=hint)


@dataclass
class Events:
    """Minikube's own events, as progress and notes; what it says of an error is kept."""

    report: Reporter
    errors: list[str]
    advice: str = ""

    def voice(self) -> Reporter:
        """What a command speaks through whose lines are such events."""
        return replace(self.report, emit=self.hear)

    def hear(self, event: Event) -> None:
        """Take one line."""
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


def launch(host: Host, beside: Daemon, cluster: Cluster, tags: Collection[str], report: Reporter) -> bool:
    """Start the cluster; whether its node was there. One that never came to be and fails is removed and made anew.

    `beside` has the node's container. Where that is gone, what is left of its cluster goes first, and be it a volume
    that no folder of minikube's tells of: a kubelet on that can't join, and minikube would wait for it.
    Raises Problem with minikube's own words and advice.
    """
    facts = host.probe.facts()
    told = lambda who: report.note(f"waits for {who}")  # noqa: E731
    name, who = f"minikube-{step_prefix(host)}", "a minikube that was started before"
    with locks.file_lock(locks.user_lock_path(name), who, told, report.cancel) as lock:
        command = replace(enrolled(start(cluster, tags, root=facts.root), facts), pass_fds=(lock,))
        made, node = context(host, report), beside.find(PROFILE) is not None
        if made and not node:
            report.note("its node's container is gone, and the cluster with it: it is removed and made anew")
        if not node:
            delete(host, null_reporter(report.cancel))  # minikube tells of what it removed where there was nothing, too
        _launch(host, command, report, made=made and node)
    return node


def _launch(host: Host, command: Command, report: Reporter, *, made: bool) -> None:
    for attempt in (1, 2):
        events = Events(report, [])
        done = host.run(command, events.voice())
        if done.exit_code == 0:
            return
        details = "\n".join((*events.errors[-8:], done.stderr.decode(errors="replace")[-1500:]))
        if made or attempt == 2:
            hint = (
                events.advice or "minikube logs; ./invoke cluster.delete removes it, and the next deploy makes it anew"
            )
            raise Problem("the cluster could not be started", details=details.strip(), hint=hint)
        report.note(f"minikube failed: {(events.errors or ['no word'])[-1][:200]}")
        report.note("the half-made cluster is removed and made anew")
        delete(host, report)


def delete(host: Host, report: Reporter) -> None:
    """Remove the cluster and all that is on it."""
    command = enrolled(Command(("minikube", "delete", f"--profile={PROFILE}"), timeout=300), host.probe.facts())
    host.run(command, report).raise_for_status("it could not be removed")


def stop(host: Host, report: Reporter) -> None:
    """Stop the cluster; what is on it stays."""
    command = enrolled(Command(("minikube", "stop", f"--profile={PROFILE}"), timeout=300), host.probe.facts())
    host.run(command, report).raise_for_status("it could not be stopped")


def context(host: Host, report: Reporter) -> bool:
    """Whether the user's kubeconfig has the cluster's context, which minikube writes when a cluster came to be."""
    return (
        host.run(script(f"kubectl config get-contexts -o name | grep -qx {PROFILE}", timeout=30), report).exit_code == 0
    )
