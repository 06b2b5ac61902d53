"""A version of Slipway that people have: its own checkout, and what must hold of what it deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.project import ROOT, Done
from tests.integration.walk import Services
from tests.integration.walk_model import NAMES, Content

COMMIT = "911cb9d"
FIRST, SECOND = Content(setting=1, sources=1), Content(setting=2, sources=2)


@dataclass(frozen=True)
class Earlier:
    """A clone of this checkout at an earlier commit."""

    folder: Path

    def invoke(self, services: Services, *words: str) -> Done:
        """Run a task of that version on a project."""
        same = pins(self.folder) == pins(ROOT)  # then this Python has what that version needs
        launcher = [sys.executable, str(self.folder / "tasks" / "main.py")] if same else [str(self.folder / "invoke")]
        line = [*launcher, *services.command(*words)[1:]]
        env = {**os.environ, "SLIPWAY_CWD": str(Path.cwd()), **services.env}
        with as_written_then(services.folder / "settings" / "environments"):
            done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=900, check=False)
        return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def as_written_then(environments: Path) -> Iterator[None]:
    """Have the files of environments name a Minikube's host beside `cluster`, as that version reads them."""
    now = {path: path.read_text() for path in environments.glob("*.yaml")}
    for path, text in now.items():
        if host := re.search(r"host: (\w+), ", text):
            path.write_text(f"host: {host[1]}\n{text.replace(host[0], '')}")
    try:
        yield
    finally:
        for path, text in now.items():
            path.write_text(text)


def clone(folder: Path) -> Earlier:
    """Clone this checkout at `COMMIT`. Raises CalledProcessError where that is not in it, as in a shallow clone."""
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", "--detach", COMMIT], check=True)
    return Earlier(folder)


def pins(checkout: Path) -> list[str]:
    """The packages of a checkout's requirements.txt, without its comments."""
    lines = (line.partition("#")[0].strip() for line in (checkout / "requirements.txt").read_text().splitlines())
    return sorted(filter(None, lines))


def check_takeover(services: Services, earlier: Earlier) -> None:
    """What the earlier version deployed is unchanged, rolled back, deployed over and purged by this one."""
    without_bases(services)
    for content in (FIRST, SECOND):
        for name in NAMES:
            services.write(name, content)
        for one in (NAMES[0], ",".join(NAMES)):  # all at once, it may make the project's network twice
            done = earlier.invoke(services, "deploy", "--service", one, "--output", "json")
            assert done.exit == 0, done.out + done.err
    status, history = settled(services, earlier), document(earlier.invoke(services, "history", "--output", "json"))
    assert {(one["name"], one["release"]) for one in status["services"]} == {(name, 2) for name in NAMES}

    plan = services.invoke("deploy", "--plan", "--output", "json")
    assert plan.exit == 0, plan.out + plan.err
    same = services.invoke("deploy", "--output", "json")
    assert (same.exit, set(same.steps.values())) == (0, {"unchanged"}), same.out + same.err
    assert with_fields_of(status, lasting(document(services.invoke("status", "--output", "json")))) == status
    assert document(services.invoke("history", "--output", "json")) == history

    back = services.invoke("rollback", "--service", "left", "--to", "1", "--output", "json")
    assert back.exit == 0, back.out + back.err
    for name, content in zip(NAMES, (FIRST, SECOND, SECOND), strict=True):
        assert services.answer(name, content) == services.text(content)
    assert earlier.invoke(services, "deploy", "--plan").exit == services.invoke("deploy", "--plan").exit == 3

    again = services.invoke("deploy", "--output", "json")
    assert again.exit == 0, again.out + again.err
    assert {step.partition("/")[0] for step, how in again.steps.items() if how == "changed"} == {"left"}
    assert services.answer("left", SECOND) == services.text(SECOND)
    plan = earlier.invoke(services, "deploy", "--plan")  # by somebody whose clone is older
    assert plan.exit == 0, plan.out + plan.err
    history = document(services.invoke("history", "--output", "json"))
    assert document(earlier.invoke(services, "history", "--output", "json")) == history

    assert services.invoke("down", "--purge").exit == 0
    assert services.everything() == []


def without_bases(services: Services) -> None:
    """Give a project images.yaml without base images: what a version changes in those is built anew, and rightly so."""
    text = (ROOT / "config" / "images.yaml").read_text()
    (services.folder / "settings" / "images.yaml").write_text(f"bases: {{}}\n{text[text.index('parts:') :]}")


def document(done: Done) -> dict[str, Any]:
    """The one document that a command printed."""
    assert done.exit == 0, done.out + done.err
    return dict(json.loads(done.out))


def settled(services: Services, earlier: Earlier) -> dict[str, Any]:
    """What the earlier version's `status` says that lasts, once no copy of an earlier release is ending."""
    deadline = time.monotonic() + 60
    while True:
        found = document(earlier.invoke(services, "status", "--output", "json"))
        if all(len(one["containers"]) == one["ready"] == one["wanted"] for one in found["services"]):
            return lasting(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def with_fields_of(earlier: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    """A document of `status` without the fields that the earlier version's has not: a field may come, none may go."""
    pairs = zip(earlier["services"], status["services"], strict=True)
    services = [{key: value for key, value in now.items() if key in before} for before, now in pairs]
    return {**{key: value for key, value in status.items() if key in earlier}, "services": services}


def lasting(status: dict[str, Any]) -> dict[str, Any]:
    """A document of `status` without what changes by itself: ages, what a node's other pods ask for, warnings."""
    services = [{key: value for key, value in one.items() if key != "age"} for one in status["services"]]
    return {**status, "services": services, "nodes": len(status["nodes"]), "warnings": None}
