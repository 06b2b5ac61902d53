"""Machines for tests: a fresh one without an init, and a systemd host, both as privileged containers on this Docker."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from slipway.errors import Problem, UsageError
from tests.lab.sources import CACHE, GO, program

HERE = Path(__file__).resolve().parent
LABEL = "slipway.lab=1"
MOUNTS = ("--tmpfs", "/run", "--tmpfs", "/tmp:exec")
RUNTIME = "slipway-lab"
FRESH = "ca-certificates,git,python3,python3-venv,sudo,procps,iproute2"
HOST = "systemd,systemd-sysv,dbus,openssh-server,sudo,ca-certificates,curl,iproute2,procps"
SYSTEMD = f"systemd,systemd-sysv,dbus,openssh-server,iptables,kmod,{FRESH}"
NODE = (
    "systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,ca-certificates,curl,procps,kmod,conntrack,socat,"
    "ebtables,ethtool,containerd,containernetworking-plugins,rsync,hostname,util-linux,mount,iputils-ping"
)


def sh(*words: str, **more: object) -> str:
    """Run a command to its end; its standard output. Raises Problem with its output when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        output = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        raise Problem(f"{' '.join(words)}: exit code {done.returncode}", details=output)
    return str(done.stdout)


def require_programs() -> None:
    """Raise UsageError for programs that the lab is made with and this machine lacks, with how to install them."""
    packages = {"debootstrap": "debootstrap", "gcc": "gcc libc6-dev", "jq": "jq", "openssl": "openssl", GO: "golang-go"}
    missing = [package for program, package in packages.items() if not shutil.which(program)]
    if os.geteuid() or missing:
        summary = f"this machine lacks {', '.join(missing)}" if missing else "the lab needs root"
        hint = f"apt-get install {' '.join(missing)}" if missing else "run it as root: debootstrap and chroot need it"
        raise UsageError(summary, hint=hint)


@dataclass(frozen=True)
class Machine:
    """A running machine: its container's name."""

    name: str

    def run(
        self, script: str, *, user: str = "root", timeout: float = 900, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script on it, in a login shell's environment; output is text, the exit code not checked."""
        given = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        words = ["docker", "exec", "-i", "--user", user, *given, self.name, "sh", "-eu"]
        return subprocess.run(words, input=script, capture_output=True, text=True, timeout=timeout, check=False)

    def put(self, source: Path, place: str) -> None:
        """Copy a file or folder onto it."""
        sh("docker", "cp", str(source), f"{self.name}:{place}")


def register() -> None:
    """Make the runtime this machine's dockerd's default, which it reads on SIGHUP: minikube asks for no other."""
    runtime = str(program("runtime"))
    with FileLock(CACHE / "register.lock"):
        _register(runtime, Path("/etc/docker/daemon.json"))


def _register(runtime: str, file: Path) -> None:
    settings = json.loads(file.read_text()) if file.is_file() else {}
    wanted = {**settings, "runtimes": {RUNTIME: {"path": runtime}}, "default-runtime": RUNTIME}
    if settings != wanted:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(wanted, indent=2))
    asked = ("docker", "info", "--format", "{{.DefaultRuntime}}")
    if sh(*asked).strip() != RUNTIME:
        os.kill(int(Path("/var/run/docker.pid").read_text()), signal.SIGHUP)
        deadline = time.monotonic() + 20
        while sh(*asked).strip() != RUNTIME:
            if time.monotonic() > deadline:
                raise RuntimeError("dockerd did not take the runtime")
            time.sleep(0.1)


def mirror() -> str:
    """The package mirror that this machine's own apt sources name."""
    for file in (*sorted(Path("/etc/apt/sources.list.d").glob("debian*")), Path("/etc/apt/sources.list")):
        text = file.read_text() if file.is_file() else ""
        found = re.search(r"^URIs: *(\S+)", text, re.MULTILINE) or re.search(
            r"^deb (?:\[[^]]*\] )?(\S+)", text, re.MULTILINE
        )
        if found:
            return found[1]
    raise RuntimeError("apt's sources name no Debian mirror")


def root(suite: str, packages: str) -> str:
    """An image of a minimal Debian with those packages, and with this machine's certificate authorities; made once."""
    key = hashlib.sha256(f"{suite} {packages} {[a.read_bytes() for a in authorities()]}".encode()).hexdigest()[:12]
    tag = f"slipway-lab/root-{suite}:{key}"
    with FileLock(CACHE / f"root-{key}.lock"), tempfile.TemporaryDirectory(prefix="slipway-lab-") as folder:
        if sh("docker", "images", "-q", tag):
            return tag
        sh("debootstrap", "--variant=minbase", f"--include={packages}", suite, folder, mirror())
        for authority in authorities():
            shutil.copy(authority, Path(folder) / "usr/local/share/ca-certificates")
        sh("chroot", folder, "update-ca-certificates")
        tar = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
        sh("docker", "import", "-", tag, stdin=tar.stdout)
        tar.wait()
    return tag


def authorities() -> list[Path]:
    """The certificate authorities that somebody added to this machine."""
    return sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))


@contextmanager
def _container(image: str, words: Sequence[str], options: Sequence[str]) -> Iterator[Machine]:
    register()
    machine = Machine(f"slipway-lab-{secrets.token_hex(4)}")
    base = ["docker", "run", "-d", "--privileged", "--label", LABEL, "--name", machine.name]
    sh(*base, "-v", "/var/lib/docker", *options, image, *words)
    try:
        yield machine
    finally:
        subprocess.run(["docker", "rm", "-fv", machine.name], capture_output=True, check=False)


@contextmanager
def fresh(suite: str = "bookworm") -> Iterator[Machine]:
    """A machine with Git and Python and nothing else, whose first program is no init."""
    with _container(root(suite, FRESH), ["sleep", "infinity"], []) as machine:
        yield machine


@contextmanager
def systemd(password: str, suite: str = "bookworm") -> Iterator[Machine]:
    """A machine under systemd with sshd, whose user `deploy` may use sudo with that password."""
    with _container(_systemd(suite, SYSTEMD), [], MOUNTS) as machine:
        _settle(machine, password)
        yield machine


def _systemd(suite: str, packages: str) -> str:
    """The image of a machine under systemd; cached by Docker's own layers."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for source in (HERE / "systemd").iterdir():
            shutil.copy(source, context)
        shutil.copy(program("runtime"), context / "runtime")
        base = root(suite, packages)
        tag = f"slipway-lab/systemd-{suite}:{base.rpartition(':')[2]}"
        sh("docker", "build", "-q", "-t", tag, "--label", LABEL, "--build-arg", f"ROOT={base}", str(context))
    return tag


def _settle(machine: Machine, password: str) -> None:
    """Wait for systemd; the user's password set, and host keys that no other machine has."""
    deadline = time.monotonic() + 90
    while machine.run("systemctl is-system-running || true").stdout.strip() not in {"running", "degraded"}:
        if time.monotonic() > deadline:
            raise RuntimeError("systemd did not come up: " + machine.run("systemctl --failed || true").stdout)
        time.sleep(0.2)
    keys = "rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh"
    done = machine.run(f'printf "deploy:%s\\n" "$PASSWORD" | chpasswd; {keys}', PASSWORD=password)
    if done.returncode:
        raise RuntimeError(done.stderr)


@dataclass(frozen=True)
class Host:
    """An SSH host of the lab and how it is reached: `folder` has its key, known_hosts and sudo password."""

    machine: Machine
    name: str
    address: str
    folder: Path

    def ssh(self, script: str, *, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A shell script there by plain ssh, as the user `deploy`."""
        options = ["-i", str(self.folder / "key"), "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}"]
        words = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *options]
        return subprocess.run([*words, f"deploy@{self.address}", "sh -eu"], input=script, capture_output=True,
                              text=True, timeout=timeout, check=False)  # fmt: skip


def start_hosts(suites: Sequence[str], folder: Path, password: str | None = None) -> list[Host]:
    """Bare SSH hosts h1, h2, … of these Debian suites; settings, key, known hosts, sudo password land in `folder`."""
    register()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "environments").mkdir(exist_ok=True)
    key, secret = folder / "key", folder / "sudo-password"
    if not key.exists():
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slipway-lab", "-f", str(key))
    secret.touch(mode=0o600)
    secret.write_text((password or secrets.token_urlsafe(12)) + "\n")
    (folder / "known_hosts").write_text("")
    network = _network(folder)
    if not sh("docker", "network", "ls", "-q", "--filter", f"name={network}"):
        sh("docker", "network", "create", "--label", LABEL, network)
    base = ["docker", "run", "-d", "--privileged", "--label", LABEL, "-v", "/var/lib/docker", *MOUNTS]
    base += ["--network", network, "-v", f"{_resolver()}:/etc/resolv.conf:ro"]  # Docker's own is of its containers only
    made = []
    for number, suite in enumerate(suites, 1):
        machine = Machine(f"slipway-lab-{secrets.token_hex(4)}")
        sh(*base, "--name", machine.name, "--hostname", f"h{number}", _systemd(suite, HOST))
        made.append(machine)
    found = [_reachable(machine, f"h{number}", folder) for number, machine in enumerate(made, 1)]
    entries = {
        host.name: {"address": host.address, "user": "deploy", "key": str(key), "groups": ["lab"]} for host in found
    }
    text = json.dumps({"known_hosts": str(folder / "known_hosts"), "hosts": entries}, indent=2)  # JSON is YAML
    (folder / "hosts.yaml").write_text(text + "\n")
    cluster = "{kind: minikube, host: h1, driver: docker, runtime: containerd, cpus: 2, memory: 3g, kubernetes: 1.34.4}"
    (folder / "environments" / "lab.yaml").write_text(f"cluster: {cluster}\n")
    return found


def _network(folder: Path) -> str:
    """The hosts' own Docker network, where no other container takes a host's address while that restarts."""
    return f"slipway-lab-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _resolver() -> Path:
    """The file that names the name servers a container can reach: systemd's stub is at an address of this machine's."""
    behind = Path("/run/systemd/resolve/resolv.conf")
    return behind if behind.is_file() else Path("/etc/resolv.conf")


def _reachable(machine: Machine, name: str, folder: Path) -> Host:
    _settle(machine, (folder / "sudo-password").read_text().strip("\n"))
    public = (folder / "key.pub").read_text()
    script = (
        "install -d -m 700 -o deploy -g deploy ~deploy/.ssh; "
        f"echo '{public.strip()}' >~deploy/.ssh/authorized_keys; chown deploy: ~deploy/.ssh/authorized_keys"
    )
    done = machine.run(script + "; cat /etc/ssh/ssh_host_*_key.pub; hostname -I")
    *keys, addresses = done.stdout.strip().splitlines()
    address = addresses.split()[0]
    with (folder / "known_hosts").open("a") as known:
        known.writelines(f"{address} {' '.join(key.split()[:2])}\n" for key in keys)
    return Host(machine, name, address, folder)


@contextmanager
def hosts(suites: Sequence[str], folder: Path, password: str | None = None) -> Iterator[list[Host]]:
    """The same for the length of a test."""
    found: list[Host] = []
    try:
        found = start_hosts(suites, folder, password)
        yield found
    finally:
        for host in found:
            subprocess.run(["docker", "rm", "-fv", host.machine.name], capture_output=True, check=False)
        subprocess.run(["docker", "network", "rm", _network(folder)], capture_output=True, check=False)


def clone(machine: Machine, place: str, owner: str = "root") -> None:
    """Put this checkout's last commit onto a machine, as `git clone` would."""
    top = HERE.parents[1]
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "repo.bundle"
        sh("git", "-C", str(top), "bundle", "create", str(bundle), "HEAD")
        machine.put(bundle, "/tmp/repo.bundle" if owner == "root" else "/var/tmp/repo.bundle")
    source = "/tmp/repo.bundle" if owner == "root" else "/var/tmp/repo.bundle"
    done = machine.run(f"git clone -q {source} '{place}'", user=owner)
    if done.returncode:
        raise RuntimeError(done.stderr)


def machines_left() -> list[str]:
    """The names of the lab's machines on this Docker.

    Not all that has its label: what runs an image of a lab's bundle, such as a Minikube, inherits that.
    """
    filters = ("--filter", f"label={LABEL}", "--filter", "name=^slipway-lab-")
    return sh("docker", "ps", "-a", "--format", "{{.Names}}", *filters).split()


def remove_all() -> int:
    """Remove every machine of the lab on this Docker; how many there were."""
    found = machines_left()
    if found:
        sh("docker", "rm", "-fv", *found)
    sh("docker", "network", "prune", "-f", "--filter", f"label={LABEL}")
    return len(found)
