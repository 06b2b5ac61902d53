"""A toy project whose environment `lab` is the Minikube on an SSH host of the lab."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.integration.project import ROOT, Done
from tests.lab.machines import Host
from tests.lab.sources import program
from tests.lab.toys import Toys

LIB = "/usr/local/lib/slipway"


class Fleet(Toys):
    """Toys whose settings name the lab's hosts."""

    def __init__(self, folder: Path, hosts: list[Host], password: str) -> None:
        super().__init__(folder)
        self.hosts, self.where, self.password = hosts, "lab", password
        self.env = {"SLIPWAY_SUDO_PASSWORD": password}
        settings = folder / "settings"
        lab = hosts[0].folder
        (settings / "environments" / "lab.yaml").write_text((lab / "environments" / "lab.yaml").read_text())
        self.known = json.loads((lab / "hosts.yaml").read_text())
        self.describe()

    def describe(self, **changes: dict[str, Any]) -> None:
        """Write hosts.yaml, with changes to single hosts' entries."""
        hosts = {name: {**entry, **changes.get(name, {})} for name, entry in self.known["hosts"].items()}
        more = {name: entry for name, entry in changes.items() if name not in hosts and name not in self.known}
        top = {key: value for key, value in changes.items() if key in {"known_hosts", "at_once"}}
        text = json.dumps({**self.known, **top, "hosts": {**hosts, **more}})
        (self.folder / "settings" / "hosts.yaml").write_text(text)

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """What kubectl says on the host."""
        line = " ".join(f"'{word}'" for word in ("kubectl", "--context", "minikube", "-n", self.name, *words))
        done = self.hosts[0].ssh(f"{line} <<'END'\n{text or ''}\nEND\n")
        return done.stdout + done.stderr

    def start(self, *words: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """A command that keeps running, in a process group of its own; `before` are words that start it."""
        import os

        env = {**os.environ, **self.env}
        return subprocess.Popen([*before, *self.command(*words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=env, start_new_session=True)  # fmt: skip


def awaited(process: subprocess.Popen[str], *texts: str, seconds: float = 120) -> str:
    """Read a command's lines until one has all of these texts; what was read."""
    assert process.stdout
    deadline, lines = time.monotonic() + seconds, []
    for line in process.stdout:
        lines.append(line)
        if all(text in line for text in texts):
            return "".join(lines)
        assert time.monotonic() < deadline, "".join(lines)
    raise AssertionError(f"{texts} never came:\n{''.join(lines)}")


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Ctrl-C; the exit code and the rest of its output."""
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    return process.returncode, said


@contextmanager
def away(host: Host) -> Iterator[None]:
    """The host's network link is down for a while; no other container gets its address meanwhile."""
    index = host.machine.run("cat /sys/class/net/eth0/iflink").stdout.strip()
    links = subprocess.check_output(["ip", "-o", "link"], text=True).splitlines()
    name = next(line.split(": ")[1].partition("@")[0] for line in links if line.startswith(f"{index}: "))
    subprocess.run(["ip", "link", "set", name, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)


@contextmanager
def far(hosts: list[Host], delay: str, first_port: int) -> Iterator[dict[str, dict[str, Any]]]:
    """Hosts behind a relay that holds every byte back; the entries by which they are reached."""
    ports = {host.name: first_port + index for index, host in enumerate(hosts)}
    pairs = [f"127.0.0.1:{ports[host.name]}={host.address}:22" for host in hosts]
    relay = subprocess.Popen([str(program("delay")), delay, *pairs], stdin=subprocess.PIPE)
    known = hosts[0].folder / "known_hosts"
    text = known.read_text()
    lines = [line.split(" ", 1) for line in text.splitlines()]
    by_address = {host.address: ports[host.name] for host in hosts}
    with known.open("a") as file:
        file.writelines(f"[127.0.0.1]:{by_address[a]} {key}\n" for a, key in lines if a in by_address)
    for port in ports.values():
        _listened(port)
    try:
        yield {name: {"address": "127.0.0.1", "port": port} for name, port in ports.items()}
    finally:
        relay.terminate()
        relay.communicate()
        known.write_text(text)


def _listened(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.05)
        else:
            return


@contextmanager
def lossy(host: Host, percent: int) -> Iterator[None]:
    """Some of the packets from a host are lost (a rule on those to it would be an error of the sender's own calls)."""
    rule = ["INPUT", "-s", host.address, "-m", "statistic", "--mode", "random", "--probability", str(percent / 100)]
    subprocess.run(["iptables", "-A", *rule, "-j", "DROP"], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-D", *rule, "-j", "DROP"], check=True)


def cut(fleet: Fleet, host: Host, bundle: Path, moments: Random, ways: Sequence[str]) -> list[str]:
    """A `setup` of a host during which the connection is cut in these ways, at these moments, and another; the faults.

    `network`: the host's interface is down for a while. `sessions`: sshd's sessions are killed.
    """
    words = ("setup", "--host", host.name, "--bundle", str(bundle), "--output", "json")
    host.machine.run(f"apt-get -q -y remove docker.io; rm -rf {LIB} /usr/local/bin/kubectl /usr/local/bin/minikube")
    ran, alive, killed = fleet.start(*words), 0, 0
    said = [awaited(ran, '"event": "plan"')]  # before it, there may be no connection yet that a cut could break
    reader = threading.Thread(target=lambda: said.append(ran.communicate()[0]))
    reader.start()
    for way in ways:
        time.sleep(moments.uniform(0.5, 2.5))
        alive += ran.poll() is None
        if way == "network":
            with away(host):
                time.sleep(moments.uniform(1, 3))
        else:
            killed += host.machine.run("pkill -KILL -u deploy sshd").returncode == 0
    reader.join(400)
    again = fleet.invoke(*words, timeout=600)
    sound = host.machine.run(f"dpkg --audit; sha256sum {LIB}/*; ls -A {LIB}").stdout
    files = json.loads((bundle / "bundle.yaml").read_text())["files"]
    faults = {
        f"only {alive} cuts of {len(ways)} came while it ran": alive < len(ways),
        "a session was to be killed, and there was none": killed < ways.count("sessions"),
        f"no broken connection was said: {''.join(said)[-3000:]}": "reconnecting" not in "".join(said),
        f"setup failed: {''.join(said)[-3000:]}": ran.returncode != 0,
        f"another setup found something to do: {again.out[-2000:]}": (again.exit, changed(again)) != (0, set()),
        "not all files are whole": not all(file["sha256"] in sound for file in files),
        "a part of a file was left": ".part" in sound,
    }
    return [fault for fault, true in faults.items() if true]


def programs(bundle: Path) -> Path:
    """A bundle of a bundle's programs without its images: seconds per host instead of a minute."""
    target = bundle.parent / "programs of the bundle"
    if not target.exists():
        shutil.copytree(bundle / "tools", target / "tools")
        listed = json.loads((bundle / "bundle.yaml").read_text())["files"]
        (target / "bundle.yaml").write_text(json.dumps({"files": [f for f in listed if f["purpose"] == "tool"]}))
    return target


def told(done: Done) -> str:
    """What failed steps reported, for a test's own failure."""
    failed = [e for e in done.events if e["event"] == "step" and e["status"] == "failed"]
    return "\n".join(f"{e['id']}: {e['detail']}" for e in failed) + done.err


def changed(done: Done) -> set[str]:
    """The steps that changed something."""
    return {name for name, status in done.steps.items() if status == "changed"}


def planned(done: Done) -> set[str]:
    """The steps that a plan lists as changes."""
    return {
        step["id"] for event in done.events if event["event"] == "plan" for step in event["steps"] if step["reason"]
    }


__all__ = ["ROOT", "Fleet", "awaited", "away", "changed", "far", "interrupted", "lossy", "planned", "told"]
