"""A team's project for a test: its own name, port and services, on the real Docker, taken away afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.build.jar import Leiningen, uberjar
from slipway.config.load import load
from slipway.hosts.local import Local
from slipway.tools.java import reachable

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

    def failure(self, step: str) -> str:
        """The whole word on a failed step."""
        return next(
            str(e["detail"])
            for e in self.events
            if e["event"] == "step" and e["id"] == step and e["status"] == "failed"
        )


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lein_test(folder: Path) -> str:
    """What `lein test` says in a project's folder, run as `build` runs Leiningen here."""
    host = Local()
    facts, tools = host.probe.facts(), load(ROOT).tools
    kit = facts.jdk(tools.java.minimum)
    assert kit
    lein = Leiningen(kit.home, "" if reachable(facts) else tools.clojure.profile)
    command = uberjar(folder, lein)
    words = [*command.argv[:-1], "test"]
    given = {
        name: value for name, value in (command.env or {}).items() if name != "JDK_JAVA_OPTIONS"
    }  # java tells of it
    done: subprocess.CompletedProcess[str] = subprocess.run(
        words, cwd=folder, env={**os.environ, **given}, capture_output=True, text=True, check=False
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

    def __post_init__(self) -> None:
        (self.folder / "settings" / "environments").mkdir(parents=True)
        (self.folder / "settings" / "slipway.yaml").write_text(f"name: {self.name}\nshort: {self.name}\n")
        self.environment({})
        for name in ("auth", "shared"):
            source, ignored = ROOT / "services" / name, shutil.ignore_patterns("target", ".lein*")
            shutil.copytree(source, self.service.parent / name, ignore=ignored)

    @property
    def service(self) -> Path:
        """The auth service's folder."""
        return self.folder / "services of a team" / "auth"

    @property
    def container(self) -> str:
        """The serving container's name."""
        return f"{self.name}_auth_01"

    def environment(self, more: dict[str, Any]) -> None:
        """Write the local environment."""
        data = {
            "services": {"auth": {"publish": self.port, **more.get("auth", {})}},
            "secrets": more.get("secrets", {}),
        }
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
        """What Docker says of the serving container."""
        return dict(json.loads(subprocess.check_output(["docker", "inspect", self.container]))[0])

    def purge(self) -> None:
        """Take everything away that carries this project's label."""
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
