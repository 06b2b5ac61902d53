"""A team's project for a test: its own name, port and services, on the real Docker, removed afterwards."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from slipway.config.load import load
from slipway.docker.ports import is_free
from slipway.hosts.local import LocalHost
from slipway.hosts.locks import user_lock_path
from slipway.images.leiningen import Leiningen, uberjar_command
from slipway.installers.java import clojars_answers

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Done:
    """How a command ended."""

    exit: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Standard output as events; raises if a line is not JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def steps(self) -> dict[str, str]:
        """How each step ended."""
        return {e["id"]: e["status"] for e in self.events if e["event"] == "step"}

    @property
    def failures(self) -> list[str]:
        """The whole word on each failed step."""
        return [str(e["detail"]) for e in self.events if e["event"] == "step" and e["status"] == "failed"]

    def failure(self, step: str) -> str:
        """The whole word on a failed step."""
        return next(
            str(e["detail"])
            for e in self.events
            if e["event"] == "step" and e["id"] == step and e["status"] == "failed"
        )


def free_port() -> int:
    """A port that nothing listens on, and that no client's connection gets meanwhile (ip_local_port_range)."""
    return next(filter(is_free, random.sample(range(20_000, 32_000), 100)))


def lein(folder: Path, *words: str) -> str:
    """What Leiningen prints in a project's folder, run as `build` runs it here."""
    host = LocalHost()
    facts, tools = host.probe.facts(), load(ROOT).tools
    jdk = facts.jdk(tools.java.minimum)
    assert jdk
    how = Leiningen(jdk.home, "" if clojars_answers(facts) else tools.clojure.profile)
    command = uberjar_command(folder, how)
    given = {
        name: value for name, value in (command.env or {}).items() if name != "JDK_JAVA_OPTIONS"
    }  # java tells of it
    argv = [*command.argv[:-1], *words]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        argv, cwd=folder, env={**os.environ, **given}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@dataclass
class Project:
    """A settings folder and a services folder of a team whose name nobody else has."""

    folder: Path
    name: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")
    port: int = field(default_factory=free_port)
    env: dict[str, str] = field(default_factory=dict)
    where: str = "local"
    of: str = "auth"

    def __post_init__(self) -> None:
        self.settings()
        self.environment()
        self.sources()

    def begin(self, folder: Path, where: str = "local") -> None:
        """Give a project that has its own services a name, an environment and a settings folder."""
        self.folder, self.name, self.env, self.where = folder, f"t{secrets.token_hex(4)}", {}, where
        self.settings()

    def settings(self) -> None:
        """Write the settings folder, without an environment."""
        (self.folder / "settings" / "environments").mkdir(parents=True)
        (self.folder / "settings" / "slipway.yaml").write_text(f"name: {self.name}\nshort: {self.name}\n")

    def sources(self) -> None:
        """Write the service's sources."""
        for name in ("auth", "shared"):
            source, ignored = ROOT / "services" / name, shutil.ignore_patterns("target", ".lein*")
            shutil.copytree(source, self.service.parent / name, ignore=ignored)

    @property
    def service(self) -> Path:
        """The service's folder."""
        return self.folder / "services of a team" / self.of

    @property
    def container(self) -> str:
        """The name of the service's container."""
        return f"{self.name}_{self.of}_01"

    def environment(self, secrets: dict[str, Any] | None = None, **service: Any) -> None:
        """Write the local environment: where secrets come from, and what differs in the service file."""
        data = {"services": {self.of: {"publish": self.port, **service}}, "secrets": secrets or {}}
        (self.folder / "settings" / "environments" / "local.yaml").write_text(json.dumps(data))

    def command(self, *words: str) -> list[str]:
        """The command line of a task on this project."""
        settings, services = self.folder / "settings", self.service.parent
        env = () if "--env" in words else ("--env", self.where)  # whatever this checkout's own default is
        return [str(ROOT / "invoke"), *words, *env, "--settings", str(settings), "--services", str(services)]

    def invoke(self, *words: str, timeout: float = 240, **env: str) -> Done:
        """Run a task to its end."""
        given = {**os.environ, **self.env, **env}
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, env=given, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file of the service; it must be there."""
        path = self.service / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new))

    def url(self, path: str) -> str:
        """An address of the live service."""
        return f"http://127.0.0.1:{self.port}{path}"

    def inspect(self) -> dict[str, Any]:
        """What `docker inspect` says of the service's container."""
        return dict(json.loads(subprocess.check_output(["docker", "inspect", self.container]))[0])

    @property
    def digest(self) -> str:
        """The id of the image that is running."""
        return str(self.inspect()["Image"])

    def finished_after_a_kill(self, attempt: int, least: float, most: float) -> None:
        """A deploy is killed at a seeded moment, so many seconds in; the next finishes it, and nothing is left of the first."""
        moment = random.Random(20261123 + attempt).uniform(least, most)  # noqa: S311  a fixed sequence is wanted
        running = subprocess.Popen(
            self.command("deploy"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moment)
        os.killpg(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL, "it was over before"
        done = self.invoke("deploy", "--output", "json")
        assert done.exit == 0, done.out
        names = subprocess.check_output(
            ["docker", "ps", "-a", "--format", "{{.Names}}", "--filter", f"name={self.name}"], text=True
        )
        assert {*names.split()} - {f"{self.name}_secrets"} == {self.container}
        assert self.invoke("deploy", "--plan").exit == 0

    def purge(self) -> None:
        """Remove everything that has this project's label, and end the process that would remove what is kept warm."""
        user_lock_path(f"warm-{self.name}").with_suffix(".txt").unlink(missing_ok=True)
        label = f"label=slipway.project={self.name}"
        for listing, removal in (
            (["docker", "ps", "-aq"], ["docker", "rm", "-fv"]),
            (["docker", "volume", "ls", "-q"], ["docker", "volume", "rm", "-f"]),
            (["docker", "network", "ls", "-q"], ["docker", "network", "rm"]),
            (["docker", "images", "-q"], ["docker", "rmi", "-f"]),
        ):
            found = sorted(set(subprocess.check_output([*listing, "--filter", label], text=True).split()))
            if found:
                subprocess.run([*removal, *found], capture_output=True, check=False)


def purged_name() -> Iterator[str]:
    """The name of a project that nobody has; what Docker has of it is removed at the end."""
    leftover = Project.__new__(Project)
    leftover.name = f"t{secrets.token_hex(4)}"
    yield leftover.name
    leftover.purge()


def greets(project: Project) -> bool:
    """Whether a light service, or the other team's, answers as it should."""
    return requests.get(project.url("/"), timeout=10).text == "hello"


SERVER = """(ns shop.core (:gen-class) (:import (java.net ServerSocket)))
(defn -main [& _]
  (with-open [server (ServerSocket. 9000)]
    (while true
      (with-open [socket (.accept server)]
        (.read (.getInputStream socket) (byte-array 4096))
        (doto (.getOutputStream socket)
          (.write (.getBytes "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello"))
          (.flush))))))
"""
SHOP = {
    "project.clj": """(defproject shop "2.3" :dependencies [[org.clojure/clojure "1.11.4"]]
  :main shop.core :source-paths ["code"] :uberjar-name "the-shop.jar" :profiles {:uberjar {:aot :all}})""",
    "code/shop/core.clj": SERVER,
    "docker/shop.Dockerfile": """ARG BASE
FROM ${BASE}
COPY target/the-shop.jar /srv/shop.jar
USER 10001
ENTRYPOINT ["java", "-jar", "/srv/shop.jar"]
""",
    "service.yaml": """name: shop
version: "2.3"
port: 9000
dockerfile: docker/shop.Dockerfile
checks:
  - {name: it says hello, curl: 'curl "$BASE/"', expect: {status: 200, body: '^hello$'}}
""",
}


@dataclass
class Another(Project):
    """A project of another team's service, which Leiningen builds in seconds."""

    of: str = "shop"

    def sources(self) -> None:
        """See `Project.sources`."""
        for place, text in SHOP.items():
            path = self.service / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


PROGRAM = """import java.net.*;
class Light {
    public static void main(String[] words) throws Exception {
        var env = System.getenv();
        Thread.sleep(Long.parseLong(env.getOrDefault("DELAY", "0")));
        var said = env.getOrDefault("SAYS", "hello");
        if (env.containsKey("ASKS")) said += new String(new URL(env.get("ASKS")).openStream().readAllBytes());
        var head = "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: " + said.length() + "\\r\\n\\r\\n";
        System.out.println(env.getOrDefault("KEY", "open"));
        try (var server = new ServerSocket(8080)) {
            System.out.println("it listens");
            while (true) try (var socket = server.accept()) {
                socket.getInputStream().read(new byte[4096]);
                socket.getOutputStream().write((head + said).getBytes());
            }
        }
    }
}
"""
DOCKERFILE = """ARG BASE
FROM ${BASE}
COPY classes /classes
USER 10001:10001
ENTRYPOINT ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", "/classes", "Light"]
"""
LIGHT: dict[str, Any] = {
    "name": "light",
    "build": "none",
    "port": 8080,
    "env": {"LEVEL": "info"},
    "secrets": {"SECRET": {"generate": {}}},
    "health": {"ready": "/"},
    "checks": [{"name": "it greets", "curl": 'curl "$BASE/"', "expect": {"status": 200, "body": "^hello$"}}],
}


def light(folder: Path) -> None:
    """What the image of a light service is made from: it answers with $SAYS and what $ASKS says, $DELAY ms after its start.

    It is compiled already, and starts in a moment.
    """
    (folder / "classes").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    source = folder.parent / "Light.java"
    source.write_text(PROGRAM)
    subprocess.run(["javac", "-nowarn", "-d", folder / "classes", source], check=True)
    source.unlink()


@dataclass
class Light(Project):
    """A project of a light service, for what is the same of every service."""

    of: str = "light"

    def sources(self) -> None:
        """See `Project.sources`."""
        light(self.service)
        (self.service / "service.yaml").write_text(json.dumps(LIGHT))
