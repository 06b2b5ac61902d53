"""Docker on a host: the engine installed, running, and usable by the user who deploys."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from slipway.config.versions import DockerTool, Script
from slipway.docker.protocols import LABEL, Daemon, Spec
from slipway.engine.steps import Change, Reporter, Step, function_step, null_reporter
from slipway.errors import ConnectionLost, Problem, UsageError
from slipway.hosts.facts import Facts, libraries
from slipway.hosts.host import NO_PROXY, Command, Host, Privilege, script, step_prefix, step_title
from slipway.installers import packages
from slipway.installers.bundle import Bundle
from slipway.installers.download import fetch

START = 60  # seconds for dockerd to answer
TRUE = "/bin/true"
DROP_INS = "/etc/systemd/system/docker.service.d"
LOG, PID = "/var/log/docker.log", "/var/run/docker.pid"
PROOF = "hello-world@sha256:5e23090353324d887c48ad5e5c56d294eab81588df9605b07d1afe895f9cc8f8"


def steps(
    host: Host,
    want: DockerTool,
    daemon: Daemon,
    *,
    bundle: Bundle | None = None,
    after: tuple[str, ...] = (),
    proxy: str | None = None,
) -> Iterator[Step[Facts]]:
    """The steps that bring a host to a usable Docker. Each is always there; what differs decides which act.

    `proxy` is what dockerd is told of ("": of none), or None where that is not asked, as on this machine. The group and
    the proxy come first, so that the daemon begins with both, and a container can be run as soon as it does.
    """
    docker = f"{step_prefix(host)}/docker"
    yield function_step(
        id=f"{docker}/group",
        title=step_title(host, "Docker for this user"),
        probe=host.probe,
        check=group_differs,
        apply=lambda report: _join(host, report),
        after=after,
    )
    first = [f"{docker}/group"]
    if proxy is not None:
        yield function_step(
            id=f"{docker}/proxy",
            title=step_title(host, "Docker's proxy"),
            probe=host.probe,
            check=lambda facts: proxy_differs(facts, proxy),
            apply=lambda report: _proxy(host, daemon, proxy, report),
            after=tuple(first) if proxy else after,
            lane=host.packages,
        )
        first.append(f"{docker}/proxy")
    yield function_step(
        id=f"{docker}/engine",
        title=step_title(host, "Docker engine"),
        probe=host.probe,
        check=lambda facts: engine_differs(facts, want),
        apply=lambda report: _bring(host, want, daemon, bundle, report),
        after=tuple(first),
        lane=host.packages,
    )


def engine_differs(facts: Facts, want: DockerTool) -> Change | None:
    """Why the engine must be installed or started, or None. Raises Problem where Docker is not to be had."""
    return missing(facts, want) or running_differs(facts)


def missing(facts: Facts, want: DockerTool) -> Change | None:
    """Why the engine must be installed, or None. Raises Problem where Docker is not this machine's or not to be had."""
    supported(facts)
    if desktop(facts):
        return None
    minimum = tuple(int(part) for part in want.minimum.split(".")[:2])
    if not facts.dockerd:
        return Change("the Docker engine is not installed")
    if not facts.docker:
        return Change("Docker's client is not installed")
    if facts.engine_version < minimum:
        return Change(f"Docker {facts.engine_version[0]}.{facts.engine_version[1]} is older than {want.minimum}")
    return None


def desktop(facts: Facts) -> bool:
    """Whether Docker is an application that somebody else installs and starts."""
    return facts.kernel == "Darwin" or (facts.wsl and not facts.dockerd)


def supported(facts: Facts) -> None:
    """Raise Problem where Docker is not this machine's, or can't be had by Slipway."""
    elsewhere(facts)
    if desktop(facts) and not facts.socket:
        app = "Docker Desktop or Colima" if facts.kernel == "Darwin" else "Docker Desktop with WSL integration"
        raise UsageError("Docker does not run", hint=f"install and start {app}, then run the same command")
    if facts.kernel not in {"Linux", "Darwin"}:
        raise UsageError(f"{facts.kernel} is not supported", hint="use Linux, macOS or WSL2")


def elsewhere(facts: Facts) -> None:
    """Raise Problem if Docker's client is pointed at another machine: `local` is this one."""
    if facts.docker_host and facts.docker_host not in {"unix:///var/run/docker.sock", "unix:///run/docker.sock"}:
        raise UsageError(
            f"DOCKER_HOST is {facts.docker_host}, which is not this machine's Docker",
            hint="unset DOCKER_HOST, or name an environment: --env E",
        )
    if facts.docker_context not in {"", "default", "desktop-linux", "colima"}:
        raise UsageError(
            f"Docker's context is {facts.docker_context}, which is not this machine",
            hint="docker context use default, or name an environment: --env E",
        )


def running_differs(facts: Facts) -> Change | None:
    """Why dockerd must be started, or None."""
    if not facts.socket or not (facts.daemon or facts.kernel == "Darwin" or facts.wsl):
        return Change("dockerd does not run")
    if facts.systemd and facts.dockerd and not facts.docker_enabled:
        return Change("dockerd does not start with the machine")
    return None


def group_differs(facts: Facts) -> Change | None:
    """Why the user must join group docker, or None. Its members can do all that root can. Raises as `supported`."""
    supported(facts)
    if facts.root or facts.kernel != "Linux" or "docker" in facts.enrolled:
        return None
    return Change(f"{facts.user} is not in group docker (membership equals root)")


def proxy_file(proxy: str) -> tuple[str, str]:
    """The path and text of what tells dockerd of a proxy; the path says which, the text is root's alone."""
    text = "".join(f'Environment="{key}={_escaped(value)}"\n' for key, value in (
        ("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy), ("NO_PROXY", NO_PROXY)))  # fmt: skip
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{DROP_INS}/slipway-proxy-{name}.conf", f"[Service]\n{text}"


def _escaped(value: str) -> str:
    """A value between double quotes in a unit's file (systemd.syntax(7); %: systemd.unit(5), specifiers)."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def proxy_differs(facts: Facts, proxy: str) -> Change | None:
    """Why dockerd must be told of a proxy, or of none any more; or None."""
    if not facts.systemd:
        return None  # a detached dockerd has the environment of who starts it
    wanted = (proxy_file(proxy)[0],) if proxy else ()
    if facts.docker_proxy == wanted:
        return None
    return Change("dockerd does not know the proxy" if proxy else "dockerd knows a proxy that hosts.yaml does not name")


def _proxy(host: Host, daemon: Daemon, proxy: str, report: Reporter) -> None:
    facts = host.probe.facts()
    wanted = ""
    if proxy:
        wanted, text = proxy_file(proxy)
        host.write_file(text.encode(), wanted, 0o600, Privilege.ROOT, report)
    others = [other for other in facts.docker_proxy if other != wanted]
    again = f"""
        {shlex.join(["rm", "-f", *others])}
        systemctl daemon-reload || exit
        ! systemctl is-active --quiet docker || systemctl restart docker
    """
    host.run(script(again, privilege=Privilege.ROOT, timeout=120), report).raise_for_status(
        "dockerd could not be restarted"
    )
    if facts.daemon and group_differs(facts) is None:
        prove(host, daemon, report)


def from_script(saved: str, want: Script) -> Command:
    """The upstream script, run from its checked file with a pinned version."""
    return Command(("sh", saved, "--version", want.version), privilege=Privilege.ROOT, timeout=1800, resumable=True)


def _install(host: Host, want: DockerTool, bundle: Bundle | None, report: Reporter) -> None:
    facts = host.probe.facts()
    if bundle and (files := bundle.packages(facts)):
        report.note(f"{len(files)} packages from the bundle")
        packages.brought(host, [bundle.checked(file) for file in files], report)
        return
    if want.script and facts.family in {"debian", "ubuntu", "fedora", "rhel"}:
        try:
            saved = Path(fetch(want.script.url, want.script.sha256, report))
        except Problem as problem:
            report.note(f"{problem.summary}; the distribution's packages instead")
        else:
            copy = f"/var/cache/slipway/docker-install-{want.script.sha256[:12]}.sh"
            host.upload(saved, copy, 0o600, Privilege.ROOT, report)
            done = host.run(from_script(copy, want.script), report)  # a broken link or a timeout: it may run there yet
            if done.exit_code == 0:
                return
            report.note(f"Docker's own script failed (exit code {done.exit_code}); the distribution's packages instead")
    names = packages.named(want.packages, facts)
    if names is None:
        hint = "install Docker by hand: https://docs.docker.com/engine/install/"
        raise UsageError(f"no Docker package is known for {facts.system}", hint=hint)
    packages.add(host, names, report)


def starting(facts: Facts) -> Command:
    """How dockerd is started: by systemd, or detached where PID 1 is no init, its log and pid in their usual places.

    It ends when dockerd listens, or has ended itself. One that is there already is awaited: it comes up, or goes
    down and holds the pid file until then.
    """
    if facts.systemd:
        return Command(("systemctl", "enable", "--now", "docker"), privilege=Privilege.ROOT, timeout=120)
    text = f"""
        listens() {{ [ -S /var/run/docker.sock ]; }}
        pid=$(cat {PID} 2>/dev/null)
        for i in $(seq {START * 5}); do
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || {{ pid=; break; }}
            ! listens || exit 0
            sleep 0.2
        done
        [ -z "$pid" ] || {{ echo "a dockerd is there, process $pid, that does not listen"; exit 1; }}
        rm -f {PID} /var/run/docker.sock
        PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
        setsid dockerd >>{LOG} 2>&1 </dev/null &
        for i in $(seq {START * 5}); do
            sleep 0.2
            ! listens || exit 0
            kill -0 $! 2>/dev/null || break
        done
        tail -n 20 {LOG}
        exit 1
    """
    return script(text, privilege=Privilege.ROOT, timeout=2 * START + 30)


def _bring(host: Host, want: DockerTool, daemon: Daemon, bundle: Bundle | None, report: Reporter) -> None:
    """Install what is missing, start it now and with the machine, and prove that it works."""
    facts = host.probe.facts()
    if missing(facts, want):
        _install(host, want, bundle, report)
    host.run(starting(facts), report).raise_for_status(
        "dockerd could not be started", f"its log: {LOG}, or journalctl -u docker"
    )
    prove(host, daemon, report)


def prove(host: Host, daemon: Daemon, report: Reporter) -> None:
    """Run a container, as the proof that Docker works: hello-world, or where it can't be had an image made here."""
    import io
    import tarfile

    labels = {LABEL: "slipway-proof"}
    try:
        image = daemon.pull(PROOF, report)
        summary = "hello-world"
    except ConnectionLost:
        raise
    except Problem:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in (TRUE, *libraries(host.run(Command(("ldd", TRUE)), null_reporter(report.cancel)).text)):
                content = host.read_file(path, report)
                info = tarfile.TarInfo(path.lstrip("/"))
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
        image = daemon.load_root(buffer.getvalue(), "slipway/proof:1", [f'CMD ["{TRUE}"]'])
        summary = f"an image of the machine's own {TRUE}, since Docker Hub does not answer"
    made = daemon.create(Spec(f"slipway_proof_{image[7:15]}", image, labels))
    try:
        daemon.start(made)
        for _ in range(100):
            found = daemon.inspect(made)
            if not found.running:
                break
            report.cancel.wait(0.05)
        if found.exit_code:
            lines = "\n".join(daemon.logs(made, 20, follow=False))
            raise Problem(
                f"a container of {summary} ended with exit code {found.exit_code}",
                details=lines,
                hint=f"its log: {LOG}",
            )
    finally:
        daemon.remove(made)
    report.note(f"a container ran: {summary}")


def _join(host: Host, report: Reporter) -> None:
    user = host.probe.facts().user
    make = "getent group docker >/dev/null || groupadd --system docker"
    text = f"export PATH=$PATH:/usr/sbin:/sbin; {make}; usermod -aG docker {user}"
    done = host.run(script(text, privilege=Privilege.ROOT, timeout=30), report)
    done.raise_for_status(f"{user} could not join group docker")
    report.note(f"{user} is in group docker now, which equals root on this machine; this run goes on under it")
