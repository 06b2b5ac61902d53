"""Helping Hands as its developers have it: deployed from a Git checkout of its own, in which one line changes at a time."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from tests.benchmarks.measure import command
from tests.integration.project import ROOT
from tests.lab import bundle, machines
from tests.lab.hands import SERVICES, Hands

ROUTED = 5.0  # seconds: kube-proxy writes its rules once a second at most, and earlier pods answer until then
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Edit:
    """A text in a source file that each of `services` answers with at `path`, to `user` where it asks who that is."""

    file: str
    text: str
    services: tuple[str, ...]
    path: str
    user: str = ""

    def write(self, services: Path, version: int) -> None:
        """Make the text that of this version."""
        file = services / self.file
        changed, count = re.subn(rf"{self.text}( \d+)?", f"{self.text} {version}", file.read_text())
        if count != 1:
            raise RuntimeError(f"{file}: {count} lines have {self.text!r}")
        file.write_text(changed)

    def require_answer(self, hands: Hands, version: int) -> None:
        """Raise RuntimeError unless each service answers with the text of this version."""
        for service in self.services:
            self.require_answer_at(hands.url(service), hands, version)

    def require_answer_at(self, url: str, hands: Hands, version: int) -> None:
        """The same for a service at an address of its own; on a cluster soon, since nodes' rules follow a rollout."""
        until = time.monotonic() + (0 if hands.where == "local" else ROUTED)
        while True:
            try:
                return self._require_answer_now(url, hands, version)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _require_answer_now(self, url: str, hands: Hands, version: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": token(session, hands, self.user)} if self.user else {}
            found = session.get(f"{url}{self.path}", headers=headers, timeout=10).text
        if f"{self.text} {version}" not in found:
            raise RuntimeError(f"{url}{self.path} answers {found}, not {self.text} {version}")


def token(session: requests.Session, hands: Hands, user: str) -> str:
    """A user's Authorization."""
    answer = session.get(f"{hands.url('auth')}/tokens", params={"uid": user, "pwd": user}, timeout=10)
    answer.raise_for_status()
    return answer.headers["Authorization"]


AUTH = Edit(
    "auth/src/helping_hands/auth/routes.clj", "no such user, or another password", ("auth",),
    "/tokens?uid=hhuser&pwd=wrong",
)  # fmt: skip
ORDER = Edit(
    "order/src/helping_hands/order/operations.clj", "there is no order of this id", ("order",), f"/orders/{NOBODY}",
    "hhadmin",
)  # fmt: skip
SHARED = Edit("shared/src/helping_hands/shared/http.clj", "there is nothing at this path", SERVICES, "/nowhere")
EDITS = {"auth": AUTH, "order": ORDER, "shared": SHARED}


@contextmanager
def developed(where: str, names: Sequence[str] = ()) -> Iterator[Hands]:
    """These services (none: all) deployed to an environment under a name of their own; purged in the end.

    `where`: local, or minikube, the lab's.
    """
    with TemporaryDirectory() as text:
        folder = Path(text)
        services = folder / "services"
        shutil.copytree(ROOT / "services", services, ignore=shutil.ignore_patterns("target", ".lein*"))
        shutil.copy(ROOT / ".gitignore", services)
        command(["git", "init", "--quiet", str(services)])()
        command(["git", "-C", str(services), "add", "--all"])()
        hands = Hands(folder, where, services)
        if where == "minikube":
            machines.register()
            command(hands.command("setup", "--bundle", str(bundle.make(folder / "bundle"))))()
        try:
            command(hands.command("deploy", *names))()
            if where == "minikube":
                hands.route()
            yield hands
        finally:
            hands.invoke("down", "--purge")
            if where == "minikube":
                words = ["kubectl", "--context", "minikube", "delete", "namespace", hands.name, "--wait=false"]
                subprocess.run(words, capture_output=True, check=False)
            hands.purge()
