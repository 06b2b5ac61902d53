"""What one probe reads off a machine: a single read-only POSIX sh script, and the pure parser of its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.errors import Unreachable

# Every line is KEY=VALUE; a key may repeat. No command here changes anything. Whether upstreams answer, from which
# Docker's script and minikube fetch there, is asked beside the rest, for a tenth of a second; behind a proxy, that is.
SCRIPT = r"""
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say() { printf 'slipway:%s=%s\n' "$1" "$2"; }
found() { command -v "$1" 2>/dev/null; }
reach() {
  if timeout 0.1 bash -c ': </dev/tcp/$0/$1' "$1" "$2" 2>/dev/null; then say reach "$1 yes"; else say reach "$1 no"; fi
}
p=${https_proxy:-${HTTPS_PROXY:-}}; p=${p#*://}; p=${p#*@}; p=${p%%/*}
if found timeout >/dev/null && found bash >/dev/null; then
  case $p in
    *:*) reach "${p%:*}" "${p##*:}" & ;;
    ?*) reach "$p" 80 & ;;
    *) for name in get.docker.com storage.googleapis.com dl.k8s.io; do reach "$name" 443 & done ;;
  esac
fi
say clock "$(date +%s)"; say home "$HOME"
say kernel "$(uname -s)"; say arch "$(uname -m)"; say release "$(uname -r)"
if [ -r /etc/os-release ]; then
  . /etc/os-release
  say system "${ID:-}"; say like "${ID_LIKE:-}"; say version "${VERSION_ID:-}"
fi
say user "$(id -un)"; say uid "$(id -u)"; say groups "$(id -Gn)"; say enrolled "$(id -Gn "$(id -un)" 2>/dev/null)"
[ -d /run/systemd/system ] && say init systemd
for tool in sudo curl git sg apt-get dnf yum brew; do found $tool >/dev/null && say has $tool; done
if found sudo >/dev/null && [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then say sudo nopasswd; else say sudo password; fi
fi

if p=$(found dockerd); then # a package's version is a tenth of the time that running it takes
  v=$(dpkg-query -W -f '${Version}\n' docker.io docker-ce 2>/dev/null | sed -n '/./{s/^[0-9]*://;p;q;}')
  say dockerd "$p"; say engine "$([ -n "$v" ] && echo "version $v" || dockerd --version 2>/dev/null)"
fi
p=$(found docker) && say docker "$p"
config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
current=$(sed -n 's/.*"currentContext": *"\([^"]*\)".*/\1/p' "$config" 2>/dev/null)
say docker_host "${DOCKER_HOST:-}"; say docker_context "${DOCKER_CONTEXT:-$current}"
for file in /etc/systemd/system/*.wants/docker.service /etc/systemd/system/*.wants/docker.socket; do
  [ -e "$file" ] && say docker_enabled yes
done
[ -S /var/run/docker.sock ] && say socket yes
[ -w /var/run/docker.sock ] && say writable yes
pid=$(cat /var/run/docker.pid 2>/dev/null) && read -r name 2>/dev/null <"/proc/$pid/comm" && # a pid is used again
  [ "$name" = dockerd ] && say daemon "$pid"

java=$(found java); [ -n "$java" ] && java=$(readlink -f "$java" 2>/dev/null || echo "$java")
for home in "${JAVA_HOME:-}" "${java%/bin/java}" /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
  [ -x "$home/bin/jlink" ] && [ -r "$home/release" ] || continue
  # without jmods, jlink takes the modules out of the JDK itself where its vendor built it so (JEP 493)
  [ -d "$home/jmods" ] || "$home/bin/jlink" --help 2>/dev/null | grep -q "run-time image enabled" || continue
  say jdk "$(sed -n 's/^JAVA_VERSION="\(.*\)"/\1/p' "$home/release") $home"
done
p=$(found lein) && say lein "$p"
for jar in /usr/share/java/leiningen-[0-9]*.jar "$HOME"/.lein/self-installs/leiningen-*-standalone.jar; do
  [ -e "$jar" ] && say lein_jar "$jar"
done
[ -d /usr/share/maven-repo/ring/ring-jetty-adapter ] && say maven_repo ring

say minikube_home "${MINIKUBE_HOME:-$HOME}/.minikube"
for tool in kubectl minikube; do # one that Slipway put there has its version in its name, which spares running it
  p=$(found $tool) && p=$(readlink -f "$p") || continue
  case $p in
    */slipway/$tool-*) say tool "$tool ${p##*/$tool-}" ;;
    */kubectl) say tool "kubectl $(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: *//p')" ;;
    *) say tool "$tool $($tool version --short 2>/dev/null)" ;;
  esac
done
for file in "${MINIKUBE_HOME:-$HOME}"/.minikube/cache/linux/*/v*/*; do [ -x "$file" ] && say kubernetes "$file"; done

awk '$2 == "/tmp" && $4 ~ /(^|,)noexec(,|$)/ {print "slipway:noexec=/tmp"}' /proc/mounts 2>/dev/null
for file in /etc/systemd/system/docker.service.d/slipway-proxy-*.conf; do
  [ -e "$file" ] && say docker_proxy "$file"
done
say proxy "${https_proxy:-${HTTPS_PROXY:-${http_proxy:-}}}"
say ports "$(ss -Hltn 2>/dev/null | awk '{print $4}' | sed 's/.*://' | sort -un | tr '\n' ' ')"
say memory "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
say disk "$(df -Pk / /var/lib 2>/dev/null | awk 'NR>1 && (!m || $4<m) {m=$4} END {print m}')"
wait; say end end
"""


@dataclass(frozen=True)
class Jdk:
    """A Java development kit that jlink can link from: version as the `release` file says, and its home folder."""

    version: str
    home: str

    @property
    def major(self) -> int:
        """17 of 17.0.15; 8 of 1.8.0."""
        found = re.match(r"(?:1\.)?(\d+)", self.version)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Facts:
    """What a machine is and has. Paths are absolute; `memory` and `disk` are free bytes; 0 where it cannot be told."""

    kernel: str
    arch: str
    system: str = ""
    like: tuple[str, ...] = ()
    version: str = ""
    user: str = ""
    uid: int = -1
    groups: tuple[str, ...] = ()  # of the process that asked
    enrolled: tuple[str, ...] = ()  # of the user, as the group database says
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
    jdks: tuple[Jdk, ...] = ()
    lein: str = ""
    lein_jars: tuple[str, ...] = ()
    maven_repo: bool = False
    tools: Mapping[str, str] = field(default_factory=dict)  # kubectl and minikube: version
    minikube_home: str = ""
    kubernetes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # v1.34.4: programs in minikube's cache
    memory: int = 0
    cpus: int = 0
    disk: int = 0
    docker_enabled: bool = False  # systemd starts it with the machine
    home: str = ""
    skew: float = 0.0  # seconds that its clock is before ours
    noexec: bool = False  # nothing in /tmp can be run
    proxy: str = ""
    docker_proxy: tuple[str, ...] = ()  # what tells dockerd of a proxy
    ports: tuple[int, ...] = ()  # TCP ports that something listens on
    wsl: bool = False
    reach: Mapping[str, bool] = field(default_factory=dict)  # upstreams, or the proxy: whether they answered at once

    @property
    def root(self) -> bool:
        """Whether commands already run as root."""
        return self.uid == 0

    @property
    def platform(self) -> str:
        """The Docker platform of images that run here."""
        machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(self.arch, self.arch)
        return f"linux/{machine}"

    @property
    def family(self) -> str:
        """The system whose packages it takes: debian, ubuntu, fedora, rhel, macos, or what it calls itself."""
        if self.kernel == "Darwin":
            return "macos"
        for name in (self.system, *self.like):
            if name in {"debian", "ubuntu", "fedora", "rhel"}:
                return name
            if name in {"centos", "rocky", "almalinux", "ol"}:
                return "rhel"
        return self.system or self.kernel.lower()

    def jdk(self, minimum: int) -> Jdk | None:
        """The first kit that is new enough: JAVA_HOME's, the default one, then any other."""
        return next((kit for kit in self.jdks if kit.major >= minimum), None)

    @property
    def engine_version(self) -> tuple[int, int]:
        """Major and minor version of the installed Docker engine; (0, 0) without one."""
        found = re.search(r"version (\d+)\.(\d+)", self.engine)
        return (int(found[1]), int(found[2])) if found else (0, 0)


def parse(text: str, now: float | None = None) -> Facts:
    """The facts in the script's answer, which came at `now`; banners and messages around it do not matter.

    Raises Problem if the answer has no end, which means that the shell on that machine did not run the script whole.
    """
    lines = [line[8:] for line in text.splitlines() if line.startswith("slipway:") and "=" in line]
    found: dict[str, list[str]] = {}
    for line in lines:
        key, value = line.split("=", 1)
        found.setdefault(key, []).append(value.strip())
    if "end" not in found:
        raise Unreachable("the machine's probe was cut short", details=text[-2000:])

    def one(key: str) -> str:
        return found.get(key, [""])[0]

    def number(key: str, unit: int = 1) -> int:
        return int(one(key)) * unit if one(key).isdigit() else 0

    homes: dict[str, Jdk] = {}
    for line in found.get("jdk", []):
        if named := re.fullmatch(r"(\d\S*) (/.*)", line):  # a `release` file may lack its version
            homes.setdefault(named[2], Jdk(named[1], named[2]))
    cached: dict[str, tuple[str, ...]] = {}
    for line in found.get("kubernetes", []):
        version, name = line.split("/")[-2:]
        cached[version] = (*cached.get(version, ()), name)
    tools = dict(line.partition(" ")[::2] for line in found.get("tool", []))
    return Facts(
        kernel=one("kernel"),
        arch=one("arch"),
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
        jdks=tuple(homes.values()),
        lein=one("lein"),
        lein_jars=tuple(found.get("lein_jar", [])),
        maven_repo=bool(one("maven_repo")),
        tools={name: version.removeprefix("v") for name, version in tools.items()},
        minikube_home=one("minikube_home"),
        kubernetes=cached,
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
        reach={name: said == "yes" for name, said in sorted(line.split(" ") for line in found.get("reach", []))},
    )


def libraries(ldd: str) -> list[str]:
    """The files that `ldd` names, the loader among them."""
    return sorted(set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", ldd, re.MULTILINE)))
