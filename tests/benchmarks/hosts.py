"""Ten hosts that are as wanted: `setup --host` beside Fabric's floor, pyinfra and Ansible, at two round trips."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from slipway.hosts.facts import SCRIPT
from tests.benchmarks.measure import Row, command, seconds
from tests.lab import bundle, machines
from tests.lab.fleet import Fleet, cut, far, programs
from tests.lab.sources import CACHE, KUBERNETES, MINIKUBE

HERE = Path(__file__).resolve().parent
COUNT, CUTS, SEED = 10, 10, 7
TURNS = 14  # of a second or less each
PASSWORD = "bench"
LIB, BIN = "/usr/local/lib/slipway", "/usr/local/bin"
FLOOR = """
import json, shlex, sys
from concurrent.futures import ThreadPoolExecutor
from fabric import Connection
hosts, key, script = json.load(open(sys.argv[1])), sys.argv[2], open(sys.argv[3]).read()
def one(entry):
    link = Connection(entry["address"], user="deploy", port=entry.get("port", 22), connect_kwargs={
        "key_filename": key, "look_for_keys": False, "allow_agent": False})
    done = link.run("sh -c " + shlex.quote(script), in_stream=False, hide=True)
    assert "slipway:end" in done.stdout
with ThreadPoolExecutor(10) as pool:
    list(pool.map(one, hosts.values()))
"""
# The same ten states in each tool's own words: they are what Slipway's facts say of a host that was set up.
PYINFRA = f"""
from pyinfra.operations import apt, files, server, systemd
apt.packages(name="package", packages=["docker.io"], _sudo=True)
server.group(name="group", group="docker", system=True, _sudo=True)
server.user(name="member", user="deploy", groups=["docker"], append=True, _sudo=True)
systemd.service(name="running", service="docker", running=True, _sudo=True)
systemd.service(name="enabled", service="docker", enabled=True, _sudo=True)
files.directory(name="folder", path="{LIB}", mode="755", _sudo=True)
for name in ("kubectl-{KUBERNETES}", "minikube-{MINIKUBE}"):
    files.file(name=name, path="{LIB}/" + name, mode="755", _sudo=True)
    files.link(name="link " + name, path="{BIN}/" + name.split("-")[0], target="{LIB}/" + name, _sudo=True)
"""
PLAYBOOK = [
    {
        "hosts": "all",
        "become": True,
        "gather_facts": False,
        "tasks": [
            {"name": "package", "ansible.builtin.apt": {"name": "docker.io", "state": "present"}},
            {"name": "group", "ansible.builtin.group": {"name": "docker", "system": True}},
            {"name": "member", "ansible.builtin.user": {"name": "deploy", "groups": ["docker"], "append": True}},
            {"name": "running", "ansible.builtin.systemd_service": {"name": "docker", "state": "started"}},
            {"name": "enabled", "ansible.builtin.systemd_service": {"name": "docker", "enabled": True}},
            {"name": "folder", "ansible.builtin.file": {"path": LIB, "state": "directory", "mode": "0755"}},
            *(
                task
                for name in (f"kubectl-{KUBERNETES}", f"minikube-{MINIKUBE}")
                for task in (
                    {"name": name, "ansible.builtin.file": {"path": f"{LIB}/{name}", "state": "file", "mode": "0755"}},
                    {
                        "name": f"link {name}",
                        "ansible.builtin.file": {
                            "path": f"{BIN}/{name.split('-', maxsplit=1)[0]}",
                            "src": f"{LIB}/{name}",
                            "state": "link",
                        },
                    },
                )
            ),
        ],
    }
]


def peers() -> Path:
    """The folder of the peers' programs, made once per content of peers.txt."""
    wanted, place = (HERE / "peers.txt").read_bytes(), CACHE / "peers"
    if not (place / "done").is_file() or (place / "done").read_bytes() != wanted:
        venv.create(place, clear=True, with_pip=True)
        words = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(HERE / "peers.txt")]
        subprocess.run(words, check=True)
        (place / "done").write_bytes(wanted)
    return place / "bin"


def rows() -> Iterator[Row]:
    """One row per tool and round trip."""
    with TemporaryDirectory() as text:
        folder = Path(text)
        with machines.hosts(["bookworm"] * COUNT, folder / "hosts", PASSWORD) as hosts:
            for host in hosts:  # the peers' own need: Python, and sudo without a word
                host.machine.run("apt-get -qq update; apt-get -qq -y install python3-apt >/dev/null 2>&1")
            fleet = Fleet(folder / "fleet", hosts, PASSWORD)
            small = programs(bundle.make(folder / "bundle"))
            names = ",".join(host.name for host in hosts)
            command(fleet.command("setup", "--host", names, "--bundle", str(small)), env=fleet.env)()
            yield from measured(fleet, folder, names, "0 ms", {})
            with far(hosts, "20ms", 20300) as entries:
                yield from measured(fleet, folder, names, "40 ms", entries)
            fleet.describe()
            moments, faults = Random(SEED), list[str]()  # noqa: S311  it must repeat
            for ways in (("network", "sessions"), ("sessions", "network")) * (CUTS // 4) + (("network", "sessions"),):
                faults += cut(fleet, hosts[0], small, moments, ways)
            yield Row(
                f"connections cut at {CUTS} moments of a setup", len(faults), 0, unit="faults", notes=tuple(faults)
            )


def measured(fleet: Fleet, folder: Path, names: str, trip: str, entries: dict[str, dict[str, object]]) -> Iterator[Row]:
    """Ours and the floor in turn, so that a busy moment hits both; then the peers, whose end is busy; the medians."""
    fleet.describe(**entries)
    hosts = json.loads((fleet.folder / "settings" / "hosts.yaml").read_text())["hosts"]
    key, tools = fleet.hosts[0].folder / "key", peers()
    (folder / "hosts.json").write_text(json.dumps(hosts))
    (folder / "floor.py").write_text(FLOOR)
    (folder / "probe.sh").write_text(SCRIPT)
    (folder / "deploy.py").write_text(PYINFRA)
    (folder / "playbook.yaml").write_text(json.dumps(PLAYBOOK))
    login = {name: {"ssh_user": "deploy", "ssh_port": entry.get("port", 22), "ssh_hostname": entry["address"]}
             for name, entry in hosts.items()}  # fmt: skip
    shared = {"ssh_key": str(key), "ssh_strict_host_key_checking": "off", "_sudo_password": PASSWORD}
    listing = list(login.items())
    (folder / "inventory.py").write_text(f"hosts = ({listing!r}, {shared!r})\n")
    lines = [
        f"{name} ansible_host={entry['address']} ansible_port={entry.get('port', 22)}" for name, entry in hosts.items()
    ]
    (folder / "inventory.ini").write_text("[all]\n" + "\n".join(lines) + "\n")
    secret = folder / "become"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD)
    quiet = {**fleet.env, "HOME": str(folder), "ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
             "PATH": f"{tools}:{os.environ['PATH']}"}  # fmt: skip
    play = [str(tools / "ansible-playbook"), "-f", str(COUNT), "-i", "inventory.ini", "-u", "deploy", "--private-key",
            str(key), "--become-password-file", str(secret), "playbook.yaml"]  # fmt: skip
    actions = {
        "ours": command(fleet.command("setup", "--host", names), env=fleet.env),
        "floor": command([sys.executable, "floor.py", "hosts.json", str(key), "probe.sh"], folder),
        "pyinfra": command([str(tools / "pyinfra"), "-y", "inventory.py", "deploy.py"], folder, quiet),
        "ansible": command(play, folder, quiet),
    }
    times: dict[str, list[float]] = {name: [] for name in actions}
    for name in [*("ours", "floor") * TURNS, *("pyinfra",) * 4, *("ansible",) * 4]:
        times[name].append(seconds(actions[name]))
    middle = {name: median(found[1:]) for name, found in times.items()}  # the first warms up
    for peer, bar in (("floor", 1.3), ("pyinfra", 1 / 3), ("ansible", 1 / 20)):
        yield Row(f"setup of {COUNT} hosts, as wanted, {trip}", middle["ours"], bar, peer, middle[peer])
