"""What a machine is and has: the answer of one read-only script, parsed; and the part of it that a build asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slipway.errors import Unreachable

_BUILD = Path(__file__).with_name("build_facts.sh").read_text()
SCRIPT = _BUILD + Path(__file__).with_name("facts.sh").read_text()  # for `parse`


@dataclass(frozen=True)
class Jdk:
    """A Java development kit that jlink can link from: the version in its `release` file, and its home folder."""

    version: str
    home: str

    @property
    def major(self) -> int:
        """17 for 17.0.15; 8 for 1.8.0."""
        found = re.match(r"(?:1\.)?(\d+)", self.version)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class BuildFacts:
    """What a build asks of a machine. Paths are absolute."""

    kernel: str
    arch: str
    jdks: tuple[Jdk, ...] = ()
    lein: str = ""
    lein_jars: tuple[str, ...] = ()
    maven_repo: bool = False

    @property
    def platform(self) -> str:
        """The Docker platform of images that run on it."""
        machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(self.arch, self.arch)
        return f"linux/{machine}"

    def jdk(self, minimum: int) -> Jdk | None:
        """The first JDK that is new enough: JAVA_HOME's, the default one, then any other."""
        return next((kit for kit in self.jdks if kit.major >= minimum), None)


@dataclass(frozen=True)
class Facts(BuildFacts):
    """What a machine is and has. Paths are absolute; `memory` and `disk` are free bytes, 0 if unknown.

    The names of the attributes are keys of `host.facts --output json`.
    """

    system: str = ""
    like: tuple[str, ...] = ()
    version: str = ""
    user: str = ""
    uid: int = -1
    groups: tuple[str, ...] = ()  # of the process that ran the script
    enrolled: tuple[str, ...] = ()  # of the user in the group database
    systemd: bool = False
    has: tuple[str, ...] = ()
    sudo: str = ""  # "", nopasswd, password
    dockerd: str = ""
    docker: str = ""
    engine: str = ""  # what `dockerd --version` prints
    docker_host: str = ""
    docker_context: str = ""
    socket: bool = False
    socket_writable: bool = False
    daemon: bool = False
    tools: Mapping[str, str] = field(default_factory=dict)  # kubectl and minikube: version
    minikube_home: str = ""
    kubernetes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # v1.34.4: programs in minikube's cache
    total_memory: int = 0
    memory: int = 0
    cpus: int = 0
    disk: int = 0
    docker_enabled: bool = False  # systemd starts it with the machine
    home: str = ""
    skew: float = 0.0  # seconds that its clock is ahead of this machine's
    noexec: bool = False  # /tmp is mounted noexec
    proxy: str = ""
    docker_proxy: tuple[str, ...] = ()  # the systemd drop-ins that configure dockerd's proxy
    ports: tuple[int, ...] = ()  # TCP ports that something listens on
    wsl: bool = False
    reach: Mapping[str, bool] = field(default_factory=dict)  # upstreams, or the proxy: whether they answered

    @property
    def root(self) -> bool:
        """Whether commands already run as root."""
        return self.uid == 0

    @property
    def family(self) -> str:
        """The distribution whose packages it takes: debian, ubuntu, fedora, rhel, macos, or its own id."""
        if self.kernel == "Darwin":
            return "macos"
        for name in (self.system, *self.like):
            if name in {"debian", "ubuntu", "fedora", "rhel"}:
                return name
            if name in {"centos", "rocky", "almalinux", "ol"}:
                return "rhel"
        return self.system or self.kernel.lower()

    @property
    def engine_version(self) -> str:
        """The version of the installed Docker engine, without what a distribution adds to it; 0 without one."""
        found = re.search(r"version (\d+(\.\d+)+)", self.engine)
        return found[1] if found else "0"


def build_script(java: int) -> str:
    """The script for `parse_build`, whose last JDK is the first of this major version or a newer one."""
    return f"enough={java}\n{_BUILD}say end end\n"


def parse_build(text: str) -> BuildFacts:
    """What a build asks for, in the output of `build_script`. Raises Unreachable if that is incomplete."""
    return _of_builds(_answers(text))


def parse(text: str, now: float | None = None) -> Facts:
    """The facts in the script's output, printed at `now` (seconds since the epoch); other lines are ignored.

    Raises Unreachable if the output is incomplete: the shell on that machine did not run the whole script.
    """
    found = _answers(text)

    def one(key: str) -> str:
        return found.get(key, [""])[0]

    def number(key: str, unit: int = 1) -> int:
        return int(one(key)) * unit if one(key).isdigit() else 0

    cached: dict[str, tuple[str, ...]] = {}
    for line in found.get("kubernetes", []):
        version, name = line.split("/")[-2:]
        cached[version] = (*cached.get(version, ()), name)
    tools = dict(line.partition(" ")[::2] for line in found.get("tool", []))
    return Facts(
        **vars(_of_builds(found)),
        system=one("system"),
        like=tuple(one("like").split()),
        version=one("version"),
        user=one("user"),
        uid=number("uid"),
        groups=tuple(one("groups").split()),
        enrolled=tuple(one("enrolled").split()),
        systemd=one("init") == "systemd",
        has=tuple(found.get("has", [])),
        sudo=one("sudo"),
        dockerd=one("dockerd"),
        docker=one("docker"),
        engine=one("engine"),
        docker_host=one("docker_host"),
        docker_context=one("docker_context"),
        socket=bool(one("socket")),
        socket_writable=bool(one("writable")),
        daemon=bool(one("daemon")),
        tools={name: version.removeprefix("v") for name, version in tools.items()},
        minikube_home=one("minikube_home"),
        kubernetes=cached,
        total_memory=number("total_memory", 1024),
        memory=number("memory", 1024),
        cpus=number("cpus"),
        disk=number("disk", 1024),
        docker_enabled=bool(one("docker_enabled")),
        home=one("home"),
        skew=number("clock") - now if now and one("clock").isdigit() else 0.0,
        noexec=bool(one("noexec")),
        proxy=re.sub(r"//[^/]*@", "//", one("proxy")),  # without its password
        docker_proxy=tuple(found.get("docker_proxy", [])),
        ports=tuple(int(port) for port in one("ports").split() if port.isdigit()),
        wsl="microsoft" in one("release").lower(),
        reach={name: answer == "yes" for name, answer in sorted(line.split(" ") for line in found.get("reach", []))},
    )


def _answers(text: str) -> dict[str, list[str]]:
    """The values of each key. Raises Unreachable if the last is not there."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("slipway:") and "=" in line:
            key, value = line[8:].split("=", 1)
            found.setdefault(key, []).append(value.strip())
    if "end" not in found:
        raise Unreachable("the output of the machine's probe was cut short", details=text[-2000:])
    return found


def _of_builds(found: Mapping[str, Sequence[str]]) -> BuildFacts:
    homes: dict[str, Jdk] = {}
    for line in found.get("jdk", []):
        if named := re.fullmatch(r"(\d\S*) (/.*)", line):  # a `release` file may have no version
            homes.setdefault(named[2], Jdk(named[1], named[2]))
    return BuildFacts(
        kernel=found.get("kernel", [""])[0],
        arch=found.get("arch", [""])[0],
        jdks=tuple(homes.values()),
        lein=found.get("lein", [""])[0],
        lein_jars=tuple(found.get("lein_jar", [])),
        maven_repo="maven_repo" in found,
    )


def libraries(ldd: str) -> list[str]:
    """The files in the output of `ldd`, including the loader."""
    return sorted(set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", ldd, re.MULTILINE)))
