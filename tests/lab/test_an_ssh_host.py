"""Hosts with nothing but systemd, sshd and sudo, Debian 12 and 13: prepared, deployed to, broken in every way."""

from __future__ import annotations

import json
import os
import pwd
import random
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from slipway.config.models import Hosts
from slipway.hosts.ssh.host import SshHost
from tests.contracts.host import HostContract
from tests.integration.project import ROOT, Done
from tests.lab import machines
from tests.lab.earlier import check_takeover, clone
from tests.lab.fleet import Fleet, awaited, away, changed, cut, far, interrupted, lossy, planned, programs, told
from tests.lab.machines import Host
from tests.lab.proxy import proxy
from tests.lab.walk_cluster import HostServices

pytestmark = pytest.mark.lab
PASSWORD = "slip'way$1 \"x\\"
SEED = int(os.environ.get("SLIPWAY_SEED", "5"))
LISTING = """
find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/lib/sudo \\) -prune \
  -o -type f -printf '%p %m %U ' -exec sha256sum {} + -o -printf '%p %y %m %l\\n' 2>/dev/null | sort
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """h1 and h3 are Debian 12, h2 is Debian 13."""
    with machines.hosts(["bookworm", "trixie", "bookworm"], tmp_path_factory.mktemp("hosts"), PASSWORD) as found:
        yield found


@pytest.fixture(scope="module")
def fleet(hosts: list[Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The project; its hosts are bare before the first test."""
    project = Fleet(tmp_path_factory.mktemp("fleet"), hosts, PASSWORD)
    yield project
    project.purge()


def root(host: Host, script: str) -> str:
    """What a script says as root, not over SSH."""
    done = host.machine.run(script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def setup(fleet: Fleet, *words: str, **env: str) -> Done:
    """`setup`, as events."""
    return fleet.invoke("setup", *words, "--output", "json", timeout=600, **env)


# What reaching a host can meet: nothing of it changes the host.


@pytest.mark.parametrize(
    ("entry", "code", "words"),
    [
        ({"address": "no-such-host.invalid"}, 4, "the name has no address"),
        ({"port": 9}, 4, "refuses connections"),
        ({"address": "203.0.113.1"}, 4, "does not answer|can't be reached|is not an SSH server"),  # a proxy may answer
        ({"user": "nobody-known"}, 4, "authentication failed for user nobody-known"),
        ({"key": "~/.ssh/no-such-key"}, 2, "no-such-key"),
    ],
)
def test_a_host_that_can_not_be_reached_says_why(fleet: Fleet, entry: dict[str, object], code: int, words: str) -> None:
    fleet.describe(h1=entry)
    try:
        done = fleet.invoke("host.check", "--host", "h1", timeout=60)
        assert (done.exit, bool(re.search(words, done.out))) == (code, True), done.out + done.err
        assert "hint:" in done.out
        assert "Traceback" not in done.out + done.err
    finally:
        fleet.describe()


def test_an_unknown_key_stops_and_host_trust_records_it(fleet: Fleet, tmp_path: Path) -> None:
    known = tmp_path / "known hosts"
    fleet.describe(known_hosts=str(known))  # type: ignore[arg-type]
    try:
        done = fleet.invoke("host.check", "--host", "h1")
        assert (done.exit, "not known here" in done.out, "host.trust --host h1" in done.out) == (4, True, True)
        asked = fleet.invoke("host.trust", "--host", "h1")
        assert (asked.exit, known.exists()) == (2, False), asked.err
        assert re.search(r"SHA256:\S+", asked.out)
        assert fleet.invoke("host.trust", "--host", "h1", "--yes").exit == 0
        again = fleet.invoke("host.trust", "--host", "h1", "--yes")
        assert "already known" in again.out
        assert fleet.invoke("host.check", "--host", "h1").exit == 0
        fingerprints = subprocess.check_output(["ssh-keygen", "-lf", str(known)], text=True)
        assert fingerprints.split()[1] in root(fleet.hosts[0], "for f in /etc/ssh/*.pub; do ssh-keygen -lf $f; done")
    finally:
        fleet.describe()


def test_a_changed_key_stops_the_run_and_both_fingerprints_are_reported(fleet: Fleet, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    one, other = (fleet.hosts[index].address for index in (0, 1))
    text = (fleet.hosts[0].folder / "known_hosts").read_text()
    known.write_text("".join(line.replace(other, one) + "\n" for line in text.splitlines() if line.startswith(other)))
    before = known.read_text()
    fleet.describe(known_hosts=str(known))  # type: ignore[arg-type]
    try:
        for words in (
            ("host.check", "--host", "h1"),
            ("setup", "--host", "h1"),
            ("host.trust", "--host", "h1", "--yes"),
            ("status",),
            ("deploy", "--plan"),
            ("deploy",),
            ("logs", "--service", "toy"),
            ("rollback", "--service", "toy"),
            ("down",),
            ("cluster.status",),
        ):
            done = fleet.invoke(*words)
            said = done.out + done.err
            assert done.exit == 4, said
            assert "HAS CHANGED" in said
            assert "ssh-keygen" in said
        assert known.read_text() == before
    finally:
        fleet.describe()


def test_a_wrong_sudo_password_and_none_at_all(fleet: Fleet) -> None:
    wrong = fleet.invoke("host.check", "--host", "h1", SLIPWAY_SUDO_PASSWORD="wrong")
    assert (wrong.exit, "sudo did not accept the password" in wrong.out) == (2, True), wrong.out
    fleet.env.pop("SLIPWAY_SUDO_PASSWORD")
    try:
        none = setup(fleet, "--host", "h1")
        assert (none.exit, "SLIPWAY_SUDO_PASSWORD" in none.out) == (2, True), none.out
        own = fleet.invoke("host.check", "--host", "h1", SLIPWAY_SUDO_PASSWORD_H1=PASSWORD)
        assert own.exit == 0, own.out
    finally:
        fleet.env["SLIPWAY_SUDO_PASSWORD"] = PASSWORD
    applied = setup(fleet, "--host", "h1", SLIPWAY_SUDO_PASSWORD="wrong")
    assert applied.exit == 2, applied.out
    assert "sudo did not accept" in applied.failure("h1/docker/group")


@pytest.mark.parametrize(
    ("break_it", "repair_it", "words"),
    [
        ("mount -o remount,noexec /tmp", "mount -o remount,exec /tmp", "/tmp is mounted noexec"),
        (
            "mkdir -p /full && mount -t tmpfs -o size=4m none /full && mount --bind /full /var/lib",
            "umount /var/lib /full",
            "no space left",
        ),
        ("mv /usr/bin/sudo /usr/bin/hidden", "mv /usr/bin/hidden /usr/bin/sudo", "has no sudo"),
        (
            "mv /usr/bin/date /usr/bin/real; printf '#!/bin/sh\\necho 1000000000\\n' >/usr/bin/date; chmod +x /usr/bin/date",
            "mv -f /usr/bin/real /usr/bin/date",
            "the clock is wrong",
        ),
    ],
)
def test_a_host_that_fails_its_preflight_says_why_and_nothing_is_changed(
    fleet: Fleet, break_it: str, repair_it: str, words: str
) -> None:
    root(fleet.hosts[2], break_it)
    try:
        done = fleet.invoke("host.check", "--host", "h3")
        assert (done.exit, words in done.out, "hint:" in done.out) == (2, True, True), done.out
        ran = setup(fleet, "--host", "h3")
        assert (ran.exit, words in ran.failure("h3/host"), changed(ran)) == (2, True, set()), ran.out
    finally:
        root(fleet.hosts[2], repair_it)
    assert fleet.invoke("host.check", "--host", "h3").exit == 0


def test_a_password_a_passphrase_and_a_jump_host_reach_it_too(fleet: Fleet, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "open sesame", "-f", str(sealed)], check=True)
    public = sealed.with_suffix(".pub").read_text().strip()
    root(fleet.hosts[0], f"echo '{public}' >>~deploy/.ssh/authorized_keys")
    fleet.describe(h1={"key": str(sealed)})
    try:
        closed = fleet.invoke("host.check", "--host", "h1")
        assert (closed.exit, "SLIPWAY_SSH_PASSPHRASE" in closed.out) == (2, True), closed.out
        opened = fleet.invoke("host.check", "--host", "h1", SLIPWAY_SSH_PASSPHRASE="open sesame")
        assert opened.exit == 0, opened.out
        fleet.describe(h1={"key": None})
        own = tmp_path / "ssh"
        own.mkdir()
        by_password = check_with_files(fleet, own, "h1", SLIPWAY_SSH_PASSWORD=PASSWORD)
        assert by_password.exit == 0, by_password.out
        key = json.loads((fleet.hosts[0].folder / "hosts.yaml").read_text())["hosts"]["h1"]["key"]
        with agent(key) as held:
            by_agent = check_with_files(fleet, own, "h1", SSH_AUTH_SOCK=held)
        assert by_agent.exit == 0, by_agent.out
        fleet.describe(h2={"jump": "h1"})
        behind = fleet.invoke("host.check", "--host", "h2")
        assert behind.exit == 0, behind.out
        alias = f"Host box\n  HostName {fleet.hosts[1].address}\n  ProxyJump deploy@{fleet.hosts[0].address}\n"
        (own / "config").write_text(alias)
        fleet.describe(h2={"address": "box"})
        aliased = check_with_files(fleet, own, "h2", SLIPWAY_SSH_PASSWORD=PASSWORD)
        assert aliased.exit == 0, aliased.out
    finally:
        fleet.describe()


def check_with_files(fleet: Fleet, folder: Path, host: str, **env: str) -> Done:
    """Run `host.check` where a folder is ~/.ssh, for Slipway and for ssh."""
    own = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
    own.mkdir(mode=0o700, exist_ok=True)
    line = f'mount --bind {shlex.quote(str(folder))} {shlex.quote(str(own))} && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", line, "sh", *fleet.command("host.check", "--host", host)]
    given = {**os.environ, **fleet.env, **env}
    done = subprocess.run(words, capture_output=True, text=True, env=given, timeout=240, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def agent(key: str) -> Iterator[str]:
    """An agent that holds a key; its socket."""
    said = subprocess.check_output(["ssh-agent", "-s"], text=True)
    found = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    try:
        subprocess.run(["ssh-add", "-q", key], check=True, env={**os.environ, **found})
        yield found["SSH_AUTH_SOCK"]
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), signal.SIGTERM)


def test_facts_are_one_document_whatever_the_login_shell_prints(fleet: Fleet) -> None:
    first = "echo 'echo WELCOME; echo slipway:kernel=Plan9 >&2'; cat ~deploy/.bashrc 2>/dev/null"  # what Debian's asks
    noisy = f"{{ {first}; }} >/tmp/rc; cat /tmp/rc >~deploy/.bashrc; rm /tmp/rc; echo 'a banner' >/etc/motd"
    root(fleet.hosts[0], noisy)
    try:
        done = fleet.invoke("host.facts", "--host", "h1,h2", "--output", "json")
        found = {one["name"]: one for one in json.loads(done.out)["hosts"]}
        assert {one["kernel"] for one in found.values()} == {"Linux"}
        assert (found["h1"]["version"], found["h2"]["version"]) == ("12", "13")
        listening = root(fleet.hosts[0], "ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -nu").split()
        assert ("22" in listening, found["h1"]["ports"]) == (True, [int(port) for port in listening])
        assert found["h1"]["systemd"] is True
        assert set(found["h1"]["reach"]) == {"get.docker.com", "storage.googleapis.com", "dl.k8s.io"}
    finally:
        root(fleet.hosts[0], "sed -i '/WELCOME/d' ~deploy/.bashrc; : >/etc/motd")


class TestTheContractOfHosts(HostContract):
    @pytest.fixture
    def host(self, fleet: Fleet) -> Iterator[SshHost]:
        found = SshHost(
            "h1", Hosts(**json.loads((fleet.hosts[0].folder / "hosts.yaml").read_text())), lambda *_: PASSWORD
        )
        yield found
        found.close()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return str(tmp_path / "folder")  # a path over there, too


# A bare host becomes an environment.


@pytest.fixture
def no_package_sources(hosts: list[Host]) -> Iterator[None]:
    """What apt would download comes from nowhere, on h1."""
    file = "/etc/apt/apt.conf.d/99dead"
    root(hosts[0], f"echo 'Acquire::http::Proxy \"http://127.0.0.1:9\";' >{file}")
    yield
    root(hosts[0], f"rm {file}")


@pytest.mark.usefixtures("no_package_sources")
def test_a_plan_lists_what_the_run_then_changes_and_leaves_no_trace(fleet: Fleet, bundled: Path) -> None:
    before = [root(host, LISTING) for host in fleet.hosts]
    plan = setup(fleet, "--bundle", str(bundled), "--plan")
    assert plan.exit == 3, told(plan)
    assert setup(fleet, "--host", "h1,h2,h3", "--plan").exit == 3
    for host, listed in zip(fleet.hosts, before, strict=True):
        assert set(root(host, LISTING).splitlines()) ^ set(listed.splitlines()) == set(), host.address
    reasons = {s["id"]: s["reason"] for e in plan.events if e["event"] == "plan" for s in e["steps"]}
    assert reasons["h1/docker/engine"].startswith("follows from")
    ran = setup(fleet, "--bundle", str(bundled))
    assert ran.exit == 0, told(ran)
    assert changed(ran) == planned(plan)
    assert "a container ran" in ran.out
    again = setup(fleet)
    assert (again.exit, changed(again)) == (0, set()), again.out


def test_the_services_run_there_and_plain_ssh_agrees(fleet: Fleet) -> None:
    done = fleet.deploy()
    assert done.exit == 0, told(done)
    again = fleet.deploy()
    assert (again.exit, changed(again)) == (0, set())
    host = fleet.hosts[0]
    ran = host.ssh("docker run --rm slipway/bundle-probe:1 curl --version; minikube status; id -nG")
    assert ran.stdout.startswith("curl "), ran.stdout + ran.stderr
    assert "host: Running" in ran.stdout
    assert "docker" in ran.stdout.splitlines()[-1].split()
    deployments = json.loads(host.ssh(f"kubectl get deploy -n {fleet.name} -o json").stdout)["items"]
    assert [(d["metadata"]["name"], d["status"]["readyReplicas"]) for d in deployments] == [("toy", 2)]
    curl = f"""
        kubectl port-forward -n {fleet.name} service/toy 18080:8080 >/dev/null & forward=$!
        for i in $(seq 50); do curl -sf http://127.0.0.1:18080/ && break; sleep 0.1; done; kill $forward
    """
    assert "hello from" in host.ssh(curl).stdout
    checks = root(host, """
        systemctl is-enabled docker; systemctl is-active docker; stat -c %a ~deploy/.kube/config
        readlink -f /usr/local/bin/minikube /usr/local/bin/kubectl
        find ~deploy/.kube ~deploy/.minikube -name '*.key' -perm /077; find ~deploy/.kube -name config -perm /077
        ss -Hltn | awk '{print $4}' | grep -v '^127\\.' | grep -v '\\[::1\\]'
    """).split()  # fmt: skip
    assert checks[:3] == ["enabled", "active", "600"]
    assert checks[3] == "/usr/local/lib/slipway/minikube-1.38.1"
    public = [line for line in checks[5:] if not line.endswith(":22") and "/" not in line]
    assert public == [], checks
    assert not [line for line in checks[5:] if line.startswith("/")], checks


def test_no_password_is_on_the_host_or_in_what_was_kept(fleet: Fleet) -> None:
    found = root(
        fleet.hosts[0], 'grep -rlF "slip\'way\\$1" /etc /home /root /run /tmp /usr/local /var 2>/dev/null || true'
    )
    assert found == ""
    runs = str(ROOT / ".slipway" / "runs")  # from which other commands take old ones away meanwhile
    kept = subprocess.run(["grep", "-rlsF", "slip'way", runs], capture_output=True, text=True, check=False)
    assert kept.stdout == ""


def test_day_two_works_as_on_this_machine(fleet: Fleet) -> None:
    status = json.loads(fleet.invoke("status", "--output", "json").out)
    assert (status["environment"], status["services"][0]["ready"]) == ("lab", 2)
    assert fleet.invoke("scale", "--service", "toy", "--replicas", "3").exit == 0
    assert fleet.deploy("--plan").exit == 0
    assert fleet.invoke("scale", "--service", "toy", "--replicas", "file").exit == 0
    fleet.write(note="another release")
    assert fleet.deploy().exit == 0
    back = fleet.invoke("rollback", "--service", "toy", "--to", "1")
    assert back.exit == 0, back.out + back.err
    history = json.loads(fleet.invoke("history", "--output", "json").out)["releases"]
    assert [r["number"] for r in history if r["serving"]] == [1]
    logs = fleet.start("logs", "--service", "toy", "--follow")
    awaited(logs, "toy-")
    forward = fleet.start("forward", "--service", "toy")
    url = awaited(forward, "http://").split()[1]
    assert requests.get(url, timeout=10).text.startswith("hello from")
    with away(fleet.hosts[0]):
        time.sleep(1)
    deadline = time.monotonic() + 90
    while True:  # the tunnel opens again when the connection is back
        try:
            if requests.get(url, timeout=10).ok:
                break
        except requests.RequestException:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert interrupted(forward)[0] == 130
    assert interrupted(logs)[0] in {0, 130}
    with pytest.raises(requests.RequestException):
        requests.get(url, timeout=2)
    for _ in range(50):
        left = root(fleet.hosts[0], "pgrep -fc port-forward || true").strip()
        if left == "0":
            break
        time.sleep(0.2)
    assert left == "0"


@pytest.mark.long
def test_what_an_earlier_version_deployed_is_unchanged_rolled_back_and_purged(fleet: Fleet, tmp_path: Path) -> None:
    services = HostServices(tmp_path / "project", fleet)
    services.secret = "middle"
    try:
        check_takeover(services, clone(tmp_path / "earlier"))
    finally:
        services.close()


def test_two_people_who_deploy_to_one_host_are_serialised(fleet: Fleet) -> None:
    fleet.write(note="two at once")
    assert fleet.invoke("smoke").exit == 0  # two people have a Docker each; here they share one, and its smoke test
    one = fleet.start("deploy", "--output", "json")
    apart = 'mount -t tmpfs none /run/lock && exec "$@"'  # as if with a Docker of its own
    two = fleet.start("deploy", "--output", "json", before=("unshare", "--mount", "sh", "-c", apart, "sh"))
    said = [process.communicate(timeout=300)[0] for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], said
    assert "which is deploying to this namespace" in "".join(said)
    assert fleet.deploy("--plan").exit == 0


def test_ctrl_c_during_a_delivery_ends_it_and_the_next_deploy_continues(fleet: Fleet) -> None:
    fleet.write(note="interrupted")
    deploy = fleet.start("deploy", "--output", "json")
    awaited(deploy, '"id": "toy/delivery", "title": "toy: delivery", "status": "applying"')
    code, said = interrupted(deploy)
    assert code == 130, said
    assert "Traceback" not in said
    assert fleet.deploy().exit == 0
    assert fleet.deploy("--plan").exit == 0


@pytest.mark.long
def test_docker_restarted_during_a_delivery_is_reported_and_the_next_deploy_continues(fleet: Fleet) -> None:
    (fleet.toy / "weight").write_bytes(random.Random(SEED).randbytes(60_000_000))  # noqa: S311  it must repeat
    (fleet.toy / "Dockerfile").write_text((fleet.toy / "Dockerfile").read_text() + "COPY weight /weight\n")
    deploy = fleet.start("deploy", "--output", "json")
    awaited(deploy, '"id": "toy/delivery", "title": "toy: delivery", "status": "applying"')
    root(fleet.hosts[0], "systemctl restart docker")
    said = deploy.communicate(timeout=300)[0]
    assert "Traceback" not in said
    assert deploy.returncode in {0, 1}, said[-3000:]
    done = fleet.deploy()
    assert done.exit == 0, told(done)
    assert fleet.status()["ready"] == 2


def test_after_a_reboot_the_next_deploy_starts_what_it_needs(fleet: Fleet) -> None:
    root(fleet.hosts[0], "docker stop -t 5 $(docker ps -q) >/dev/null; systemctl stop docker docker.socket")
    subprocess.run(["docker", "restart", fleet.hosts[0].machine.name], check=True, capture_output=True)
    for _ in range(300):
        if fleet.hosts[0].ssh("true").returncode == 0:
            break
        time.sleep(0.2)
    starting = fleet.start("deploy", "--output", "json")
    awaited(starting, '"status": "applying"')
    code, said = interrupted(starting)  # minikube goes on over there, and whoever comes next follows it
    assert code == 130, said
    done = fleet.invoke("deploy", "--output", "json", timeout=400)
    assert done.exit == 0, told(done)
    assert done.steps["cluster"] == "changed"
    for _ in range(60):  # its pods come back by themselves: the release is what it was
        if fleet.status()["ready"] == 2:
            break
        time.sleep(1)
    assert fleet.status()["ready"] == 2
    assert fleet.invoke("cluster.stop").exit == 0
    assert fleet.invoke("cluster.status").exit == 4


# Hosts in a group, and links that break. No cluster: Docker, kubectl and Minikube.


def test_one_broken_host_of_three_stops_no_other(fleet: Fleet, bundled: Path) -> None:
    fleet.describe(h3={"port": 9})
    try:
        done = fleet.invoke("setup", "--host", "h1,h2,h3", "--bundle", str(programs(bundled)), timeout=600)
        assert done.exit == 1, done.out + done.err
        table = [line.split() for line in done.out.splitlines() if re.match(r"h[123] +\w+ ", line)]
        rows = {row[0]: set(row[1:]) for row in table if len(row) > 4}
        assert rows["h1"] <= {"changed", "unchanged"}, done.out
        assert rows["h2"] <= {"changed", "unchanged"}
        assert "changed" in rows["h2"]
        assert rows["h3"] == {"failed", "skipped"}
    finally:
        fleet.describe()
    again = setup(fleet, "--host", "h1,h2", "--bundle", str(programs(bundled)))
    assert (again.exit, changed(again)) == (0, set()), again.out


def test_a_host_behind_a_proxy_fetches_through_it_and_dockerd_knows_it(fleet: Fleet, bundled: Path) -> None:
    host = fleet.hosts[1]
    root(host, "apt-get -q -y purge docker.io docker-cli >/dev/null 2>&1; apt-get clean")
    inspect = ["docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", host.machine.name]
    with proxy(subprocess.check_output(inspect, text=True).strip()) as through:
        fleet.describe(h2={"proxy": through.url})
        try:
            done = setup(fleet, "--host", "h2", "--bundle", str(programs(bundled)))
            assert done.exit == 0, told(done)
            assert {"h2/docker/engine", "h2/docker/proxy"} <= changed(done)
            for _ in range(10):  # it is asked for a tenth of a second, which may pass on a busy machine
                facts = json.loads(fleet.invoke("host.facts", "--host", "h2", "--output", "json").out)["hosts"][0]
                if all(facts["reach"].values()):
                    break
            assert (facts["proxy"], list(facts["reach"].values())) == (through.url, [True])
            again = setup(fleet, "--host", "h2", "--bundle", str(programs(bundled)))
            assert (again.exit, changed(again)) == (0, set()), again.out
        finally:
            fleet.describe()
    assert [one for one in through.asked if "docker.io_" in one or one.endswith(":443")]
    assert f"HTTPS_PROXY={through.url}" in root(host, "systemctl show docker --property=Environment")
    root(host, "rm /etc/systemd/system/docker.service.d/slipway-proxy-*; systemctl daemon-reload")


def test_setup_continues_over_broken_connections_and_nothing_is_lost(fleet: Fleet, bundled: Path) -> None:
    """Seeded moments: the network removed for a while, sshd's sessions killed, and the network once more."""
    moments = random.Random(SEED)  # noqa: S311  it must repeat
    ways = ("network", "sessions", "network")  # each while it runs
    assert cut(fleet, fleet.hosts[2], programs(bundled), moments, ways) == []


def test_a_slow_and_lossy_connection_only_takes_longer(fleet: Fleet, bundled: Path) -> None:
    host = fleet.hosts[2]
    root(host, "rm -f /usr/local/bin/kubectl /usr/local/lib/slipway/kubectl-*")
    with far([host], "100ms", 20200) as entries, lossy(host, 5):
        fleet.describe(h3=entries["h3"])
        try:
            done = setup(fleet, "--host", "h3", "--bundle", str(programs(bundled)))
        finally:
            fleet.describe()
    assert (done.exit, changed(done)) == (0, {"h3/kubectl"}), told(done)


def test_another_package_manager_is_waited_for_visibly(fleet: Fleet, bundled: Path) -> None:
    host = fleet.hosts[2]
    root(host, "apt-get -q -y remove docker.io >/dev/null 2>&1")
    held = "touch /tmp/held; while [ ! -e /tmp/go ]; do sleep 0.1; done"
    holder = f"rm -f /tmp/held /tmp/go; apt-get -q -y -o DPkg::Pre-Invoke::='{held}' install --reinstall netbase"
    subprocess.run(["docker", "exec", "-d", host.machine.name, "sh", "-c", holder], check=True)
    root(host, "timeout 60 sh -c 'until [ -e /tmp/held ]; do sleep 0.1; done'")
    ran = fleet.start("setup", "--host", "h3", "--bundle", str(programs(bundled)), "--output", "json")
    awaited(ran, "Waiting for cache lock")
    root(host, "touch /tmp/go")
    said = ran.communicate(timeout=300)[0]
    assert ran.returncode == 0, said
    assert re.search(r'"id": "h3/docker/engine".*"status": "changed"', said), said


def test_a_disk_that_fills_up_is_reported_and_setup_continues_once_there_is_room(fleet: Fleet, bundled: Path) -> None:
    host = fleet.hosts[2]
    folder = "/usr/local/lib/slipway"
    root(host, f"rm -rf {folder}/* /usr/local/bin/minikube; mount -t tmpfs -o size=20m none {folder}")
    done = setup(fleet, "--host", "h3", "--bundle", str(programs(bundled)))
    assert done.exit == 1, told(done)
    assert "No space left on device" in done.failure("h3/minikube")
    root(host, f"umount {folder}")
    again = setup(fleet, "--host", "h3", "--bundle", str(programs(bundled)))
    assert again.exit == 0, told(again)
    assert ".part" not in root(host, f"ls -A {folder}")


@pytest.mark.parametrize(
    ("step", "status"), [("h3/host", "checking"), ("h3/docker/engine", "applying"), ("h3/minikube", "applying")]
)
def test_ctrl_c_in_every_phase_ends_it_and_the_next_run_continues(
    fleet: Fleet, bundled: Path, step: str, status: str
) -> None:
    host = fleet.hosts[2]
    root(host, "apt-get -q -y remove docker.io >/dev/null 2>&1; rm -rf /usr/local/lib/slipway /usr/local/bin/minikube")
    ran = fleet.start("setup", "--host", "h3", "--bundle", str(programs(bundled)), "--output", "json")
    awaited(ran, '"event": "step"', f'"id": "{step}"', f'"status": "{status}"')
    time.sleep(0.4)
    code, said = interrupted(ran)
    assert code == 130, said
    assert "Traceback" not in said
    done = setup(fleet, "--host", "h3", "--bundle", str(programs(bundled)))
    assert done.exit == 0, told(done)
    assert root(host, "dpkg --audit").strip() == ""


def test_a_killed_slipway_leaves_a_host_that_the_next_one_finishes(fleet: Fleet, bundled: Path) -> None:
    host = fleet.hosts[2]
    root(host, "apt-get -q -y remove docker.io >/dev/null 2>&1; rm -rf /usr/local/lib/slipway /usr/local/bin/kubectl")
    ran = fleet.start("setup", "--host", "h3", "--bundle", str(programs(bundled)), "--output", "json")
    awaited(ran, "Preparing to unpack")
    os.killpg(ran.pid, signal.SIGKILL)
    ran.wait()
    done = setup(fleet, "--host", "h3", "--bundle", str(programs(bundled)))
    assert done.exit == 0, told(done)
    assert root(host, "dpkg --audit").strip() == ""


def test_a_download_that_is_not_what_was_pinned_reaches_no_host(fleet: Fleet, tmp_path: Path) -> None:
    import functools
    import http.server

    (tmp_path / "minikube").write_bytes(b"not what was pinned")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/minikube"
    platforms = {"linux/amd64": {"url": url, "sha256": "0" * 64}}
    text = (ROOT / "config" / "tools.yaml").read_text()
    head, _, tail = text.partition("minikube:\n")
    rest = tail[tail.index("kubectl:") :]
    pinned = json.dumps({"version": "1.38.1", "minimum": "1.34.0", "platforms": platforms})
    file = fleet.folder / "settings" / "tools.yaml"
    file.write_text(f"{head}minikube: {pinned}\n{rest}")
    host = fleet.hosts[2]
    root(host, "rm -f /usr/local/bin/minikube")
    try:
        done = setup(fleet, "--host", "h3")
        assert done.exit == 1, told(done)
        assert "is not the file that was pinned" in done.failure("h3/minikube")
        assert root(host, "ls /usr/local/bin").find("minikube") == -1
    finally:
        file.unlink()
        server.shutdown()
