"""Helping Hands as its users see it: deployed whole to an environment, with a mail catcher, and a stream of bookings."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter

from tests.integration.project import ROOT, Done, Project, free_port

SERVICES = ("auth", "consumer", "provider", "service", "order", "alert")
MAIL = ROOT / "docs" / "walkthrough" / "services"


class Hands(Project):
    """A project of all the services of Helping Hands in one environment, under a name of its own."""

    def __init__(self, folder: Path, where: str, services: Path = ROOT / "services") -> None:
        self.folder, self.name, self.env, self.where = folder, f"t{secrets.token_hex(4)}", {}, where
        self.services, self.catching = services, False
        self.ports = {name: free_port() for name in (*SERVICES, "postgres", "mail")}
        for kind, names in (("settings", (*SERVICES, "postgres")), ("mail settings", ("mail",))):
            (folder / kind / "environments").mkdir(parents=True)
            (folder / kind / "slipway.yaml").write_text(f"name: {self.name}\nshort: {self.name}\n")
            self.local(kind, names)

    def local(self, kind: str, names: Sequence[str], *, proxy: bool = False) -> None:
        """Write the environment `local` of the services or of the mail catcher."""
        ports = {name: {"publish": self.ports[name]} for name in names}
        environment = self.folder / kind / "environments" / "local.yaml"
        environment.write_text(json.dumps({"proxy": proxy, "services": ports}))

    def without_gaps(self) -> None:
        """Let releases take over without a gap: on a cluster they do, on this machine's Docker behind a proxy."""
        if self.where == "local":
            self.local("settings", (*SERVICES, "postgres"), proxy=True)
            done = self.invoke("deploy", "--output", "json", timeout=600)
            assert done.exit == 0, done.out[-4000:]

    def command(self, *words: str) -> list[str]:
        """See `Project.command`; of the mail catcher's folder while it is meant."""
        settings = self.folder / ("mail settings" if self.catching else "settings")
        services = MAIL if self.catching else self.services
        flags = ("--env", self.where, "--settings", str(settings), "--services", str(services))
        return [str(ROOT / "invoke"), *words, *flags]

    def mail(self, *words: str) -> Done:
        """Run a task on the mail catcher."""
        self.catching = True
        try:
            return self.invoke(*words)
        finally:
            self.catching = False

    @property
    def caught(self) -> list[dict[str, str]]:
        """The e-mails that came so far."""
        lines = self.mail("logs", "--service", "mail", "--tail", "100000").out.splitlines()
        return [json.loads(line[line.index("{") :]) for line in lines if '"subject"' in line]

    def last(self, service: str) -> str:
        """The last lines that a service wrote."""
        return self.invoke("logs", "--service", service, "--tail", "30").out

    def url(self, service: str) -> str:
        """Where this machine reaches a service, whichever of its copies answers."""
        if self.where == "local":
            return f"http://127.0.0.1:{self.ports[service]}"
        found = json.loads(self.kubectl("get", "service", service, "--output=json"))
        return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"

    def route(self) -> None:
        """Let this machine reach the addresses of the cluster's services, through its node."""
        node = "{{.NetworkSettings.Networks.minikube.IPAddress}}"
        address = subprocess.check_output(["docker", "inspect", "-f", node, "minikube"], text=True).strip()
        subprocess.run(["ip", "route", "replace", "10.96.0.0/12", "via", address], check=True)

    def kubectl(self, *words: str) -> str:
        """What kubectl prints in the project's namespace."""
        line = ["kubectl", "--context", "minikube", "--namespace", self.name, *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=True).stdout

    def kill(self, service: str) -> None:
        """Kill the process of one copy of a service, without a word; what runs it starts another."""
        if self.where == "local":
            name = f"{self.name}_{service}_01"
            pid = subprocess.check_output(["docker", "inspect", "-f", "{{.State.Pid}}", name], text=True)
            os.kill(int(pid), signal.SIGKILL)
            return
        labels = f"--label io.kubernetes.pod.namespace={self.name} --label io.kubernetes.container.name={service}"
        script = f"ctr --namespace k8s.io tasks kill --signal SIGKILL $(crictl ps --quiet {labels} | head -n 1)"
        subprocess.run(["docker", "exec", "minikube", "sh", "-c", script], check=True)


@dataclass
class Parties:
    """Who books what of whom, known to the services, and what a client needs to ask them."""

    hands: Hands
    urls: dict[str, str] = field(default_factory=dict)
    order: dict[str, str] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.urls = {name: self.hands.url(name) for name in SERVICES}
        self.session.trust_env = False
        # A kept connection may be closed just as it is used: clients ask again what changes nothing (RFC 9112, 9.3.1).
        self.session.mount("http://", HTTPAdapter(max_retries=1))
        self.session.headers["Authorization"] = self.login("hhadmin")
        consumer = self.ask("POST", "consumer", "/consumers", {"name": "Ann", "email": "ann@example.org"})
        provider = self.ask("POST", "provider", "/providers", {"name": "Bo"})
        offer = {"provider": provider["id"], "type": "gardening", "area": "Berlin", "cost": 42.5}
        service = self.ask("POST", "service", "/services", offer)
        self.order = {"consumer": consumer["id"], "provider": provider["id"], "service": service["id"],
                      "day": "2030-05-01"}  # fmt: skip

    def login(self, user: str) -> str:
        """A user's Authorization."""
        answer = self.session.get(f"{self.urls['auth']}/tokens", params={"uid": user, "pwd": user}, timeout=10)
        answer.raise_for_status()
        return answer.headers["Authorization"]

    def ask(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises for anything but success."""
        answer = self.session.request(method, self.urls[service] + path, json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @property
    def orders(self) -> list[str]:
        """The ids of the stored orders of the consumer, read from the database, which lists more than the service."""
        return self.select(f"id FROM orders.bookings WHERE consumer = '{self.order['consumer']}'")

    def select(self, asked: str) -> list[str]:
        """The lines that the database answers."""
        script = f'PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U helping_hands -At -c "SELECT {asked}"'
        if self.hands.where == "local":
            line = ["docker", "exec", f"{self.hands.name}_postgres_01", "sh", "-c", script]
        else:
            line = ["kubectl", "--context", "minikube", "--namespace", self.hands.name, "exec", "deployment/postgres",
                    "--", "sh", "-c", script]  # fmt: skip
        return subprocess.check_output(line, text=True).splitlines()


class Bookings:
    """Bookings at a steady rate, each under a key of its own and sent once: what was answered, by status."""

    def __init__(self, parties: Parties, rate: float) -> None:
        self.parties, self._pause = parties, 2 / rate
        self.booked: list[str] = []
        self.refused: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._book) for _ in range(2)]

    def _book(self) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers.update(self.parties.session.headers)
        while not self._ended.wait(self._pause):
            key = {"Idempotency-Key": secrets.token_hex(8)}
            try:
                url = f"{self.parties.urls['order']}/orders"
                answer = session.post(url, json=self.parties.order, headers=key, timeout=20)
                if answer.ok:
                    self.booked.append(answer.json()["id"])
                else:
                    self.refused.append(f"{answer.status_code} {answer.text[:120]}")
            except requests.RequestException as error:
                self.refused.append(str(error)[:200])

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def resumed(self, seconds: float) -> bool:
        """Whether a booking is answered again within that time."""
        before, deadline = len(self.booked), time.monotonic() + seconds
        while len(self.booked) < before + 3:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def lost(self, seconds: float) -> list[str]:
        """What is wrong with the bookings that were answered, once no further e-mail has come for that time."""
        stored = set(self.parties.orders)
        faults = [f"{one} is not stored" for one in self.booked if one not in stored]
        extra = stored - set(self.booked)  # sent once each: what was stored without an answer was refused
        if len(extra) > len(self.refused):
            faults.append(f"{len(extra)} bookings more than were answered, and {len(self.refused)} were refused")
        missing, since = set(self.booked), time.monotonic()
        while missing:
            left = missing - {line for mail in self.parties.hands.caught for line in _numbers(mail)}
            since = time.monotonic() if left != missing else since
            if time.monotonic() > since + seconds:
                faults += [f"no e-mail about {one}" for one in left]
                waiting = self.parties.select("now(), due, attempts, failed, why, id FROM queue.messages")
                return [*faults, *waiting, self.parties.hands.last("alert")]
            missing = left
            time.sleep(1)
        return faults


def _numbers(mail: dict[str, str]) -> list[str]:
    return [word.rstrip(".") for word in mail["text"].split() if word.count("-") == 4]
