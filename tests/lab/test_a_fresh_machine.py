"""A machine with Git and Python and nothing else: one command, and the service answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.integration.project import ROOT
from tests.lab import machines
from tests.lab.machines import Machine
from tests.lab.test_walkthrough import BLOCK

pytestmark = pytest.mark.lab
PLACE = "/root/a clone"
PYTHON = """
    .venv/bin/python -m pip install -q --root-user-action=ignore --target /tmp/jwcrypto jwcrypto==1.6.1
    PYTHONPATH=/tmp/jwcrypto .venv/bin/python - "$(docker inspect -f '{{json .Config.Env}}' hh_auth_01)" <<'END'
import json, re, subprocess, sys
from jwcrypto import jwe, jwk
key = next(v.split("=", 1)[1] for v in json.loads(sys.argv[1]) if v.startswith("AUTH_KEY="))
answer = subprocess.check_output(["curl", "-si", "http://127.0.0.1:8080/tokens?uid=hhuser&pwd=hhuser"], text=True)
token = re.search(r"(?m)^Authorization: Bearer (\\S+)", answer)[1]
opened = jwe.JWE()
opened.deserialize(token, jwk.JWK(kty="oct", k=key))
print(json.dumps({"header": opened.jose_header, "claims": json.loads(opened.payload), "token": token}))
END
"""


ALL = pytest.param("bookworm", marks=pytest.mark.long)  # with all services, from nothing
FAULTS = pytest.mark.parametrize("machine", ["trixie"], indirect=True)  # of one machine: they take their time
VOLUME = """
    .venv/bin/python - <<'END'
from contextlib import ExitStack
from slipway.docker.daemon import DockerDaemon
from slipway.hosts.local import LocalHost
with ExitStack() as closing:
    DockerDaemon(LocalHost(), closing).volumes.create("kept", {"slipway.project": "kept"})
END
"""


ALONE = """
    git rm -rq services/consumer services/provider services/service services/order services/alert services/postgres
    git -c user.name=ann -c user.email=ann@example.org commit -qm 'auth alone'
"""
CONTAINERD_STORE = """
    mkdir -p /etc/docker
    echo '{"features": {"containerd-snapshotter": true}}' > /etc/docker/daemon.json
"""
MINUTES = 9  # that the first `up` of all services may take


def on(machine: Machine, script: str) -> tuple[int, str]:
    """A script in the clone: its exit code and its output."""
    done = machine.run(f"cd '{PLACE}'; set +e; {script}\n")
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module", params=[ALL, "trixie"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A fresh machine after one `./invoke up`: of all services on Debian 12; of auth alone on Debian 13, whose Docker keeps
    images in containerd.
    """
    with machines.fresh(request.param) as made:
        machines.clone(made, PLACE)
        made.run("apt-get -q -y purge python3-venv 'python3.1?-venv'", timeout=120)  # Debian leaves it out by default
        if request.param != "bookworm":
            on(made, ALONE)
            on(made, CONTAINERD_STORE)  # where Docker 29 keeps images by default
        began = time.monotonic()
        code, said = on(made, "./invoke up")
        assert code == 0, said
        assert time.monotonic() - began < MINUTES * 60
        assert "installing python3-venv" in said
        assert "the Docker engine is not installed" in said
        assert "a container ran" in said
        yield made


def test_the_service_answers_and_its_token_opens_with_the_containers_key(machine: Machine) -> None:
    code, said = on(machine, PYTHON)
    assert code == 0, said
    opened = json.loads(said.splitlines()[-1])
    assert (opened["header"]["alg"], opened["header"]["enc"]) == ("A128KW", "A128CBC-HS256")
    assert on(machine, "./invoke restart --service auth")[0] == 0

    def validate(token: str, permission: str) -> list[str]:
        curl = f"curl -s -w ' %{{http_code}}' -H 'Authorization: Bearer {token}' -d perms={permission}"
        return on(machine, f"{curl} http://127.0.0.1:8080/tokens/validate")[1].split()

    assert validate(opened["token"], "order.read") == ["true", "200"]
    assert validate(opened["token"], "user.admin") == ["false", "200"]
    assert validate(opened["token"] + "-tampered", "order.read")[-1] == "401"


@pytest.mark.parametrize(
    "again",
    [
        "./invoke up",
        "rm -rf .slipway; ./invoke up",
        "rm -rf /root/second; git clone -q . /root/second && cd /root/second && ./invoke up && ./invoke deploy --plan",
    ],
)
def test_a_second_run_and_a_second_clone_find_nothing_to_do(machine: Machine, again: str) -> None:
    code, said = on(machine, again)
    assert (code, set(re.findall(r"done: (\d+) changed", said))) == (0, {"0"}), said


def test_a_changed_line_is_released_and_only_the_services_own_layers_are_new(machine: Machine) -> None:
    before = layers(machine)
    edit = "sed -i '1i ;; a changed line' services/auth/src/helping_hands/auth/main.clj"
    code, said = on(machine, f"{edit} && ./invoke deploy --service auth")
    assert code == 0, said
    after = layers(machine)
    assert len(after) == len(before)
    new = [one for one in after if one not in before]
    stores = on(machine, "docker info --format '{{.DriverStatus}}'")[1]
    is_containerd = "io.containerd.snapshotter" in stores
    assert is_containerd == (machine.run("cat /etc/docker/daemon.json").returncode == 0)
    if is_containerd:  # built as a whole: the jar of its own sources, and its class data if they are others
        assert new in (after[-2:-1], after[-2:])
    else:
        assert new == after[-1:]  # the jar, put in the place of the one before
    assert ("Step 1/" in said) == is_containerd, said
    assert on(machine, "./invoke deploy --plan")[0] == 0


@FAULTS
def test_what_only_buildkit_builds_is_refused_with_its_line_until_buildx_is_there(machine: Machine) -> None:
    before = layers(machine)
    edit = "sed -i '0,/^COPY /s//COPY --chmod=644 /' services/auth/Dockerfile"
    code, said = on(machine, f"{edit} && ./invoke deploy --service auth")
    assert (code, "COPY --chmod=644" in said, "apt-get install docker-buildx" in said) == (1, True, True), said
    code, said = on(machine, "apt-get -q -y install docker-buildx && ./invoke deploy --service auth")
    assert (code, "built by docker buildx" in said) == (0, True), said
    assert layers(machine)[0] == before[0]  # the base; the layers above it are BuildKit's
    assert on(machine, "./invoke deploy --plan")[0] == 0
    assert on(machine, "git checkout services && ./invoke deploy --service auth")[0] == 0


def layers(machine: Machine) -> list[str]:
    """The layers of the image that auth runs."""
    image = "$(docker inspect --format '{{.Image}}' hh_auth_01)"
    return list(json.loads(on(machine, f"docker inspect --format '{{{{json .RootFS.Layers}}}}' \"{image}\"")[1]))


@pytest.mark.parametrize("machine", [ALL], indirect=True)
def test_all_services_answer_and_the_booking_story_passes(machine: Machine) -> None:
    _, catcher, story, *_ = BLOCK.findall((ROOT / "docs" / "walkthrough.md").read_text())
    code, said = on(machine, f"apt-get -q -y install jq >/dev/null 2>&1; set -eu; {catcher}\n{story}")
    assert code == 0, said
    assert re.search(r"Your booking is created.*Dear Ann", said), said
    status = json.loads(on(machine, "./invoke status --output json")[1])
    states = {one["name"]: (one["wanted"], one["ready"]) for one in status["services"]}
    assert len(states) >= 7
    assert set(states.values()) == {(1, 1)}


@FAULTS
def test_a_removed_container_is_drift_that_a_deploy_reverts(machine: Machine) -> None:
    assert on(machine, "docker rm -f hh_auth_01")[0] == 0
    code, said = on(machine, "./invoke deploy --plan")
    assert (code, "hh_auth_01 does not exist" in said) == (3, True), said
    assert on(machine, "./invoke deploy")[0] == 0


@FAULTS
def test_docker_stopped_in_the_middle_is_reported_and_up_continues(machine: Machine) -> None:
    stop = """
        sed -i '1i ;; once more' services/auth/src/helping_hands/auth/main.clj
        ( until docker ps --format '{{.Names}}' | grep -q smoke; do sleep 0.05; done
          kill $(cat /var/run/docker.pid) ) &
        ./invoke deploy
    """
    assert on(machine, VOLUME)[0] == 0
    code, said = on(machine, stop)
    assert code in {1, 4}, said  # a daemon that is about to end still answers for a while: what failed depends on when
    assert "Traceback" not in said
    wait = "while [ -d /proc/$(cat /var/run/docker.pid 2>/dev/null || echo none) ]; do sleep 0.1; done"
    code, said = on(machine, f"{wait}; ./invoke deploy")
    assert (code, "Docker does not answer" in said, "./invoke setup" in said) == (4, True, True), said
    assert "Traceback" not in said
    code, said = on(machine, "./invoke up")
    assert code == 0, said
    assert "dockerd is not running" in said
    code, said = on(machine, VOLUME)  # first asked for by `create`, whose answer knows less after a restart
    assert code == 0, said
    assert on(machine, "curl -sf 'http://127.0.0.1:8080/tokens?uid=hhuser&pwd=hhuser'")[0] == 0


@FAULTS
def test_a_full_disk_is_reported_and_leaves_nothing_incomplete(machine: Machine) -> None:
    fill = """
        mkdir -p /small && mount -t tmpfs -o size=12m none /small
        git archive HEAD services | tar -x -C /small
        ./invoke build --service auth --services /small/services
    """
    code, said = on(machine, fill)
    assert code == 1, said
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert on(machine, "find /small -name '*.????????????????.jar' | grep .")[0] == 1
    code, said = on(
        machine, "mount -o remount,size=300m /small && ./invoke build --service auth --services /small/services"
    )
    assert code == 0, said


def test_a_sudo_user_outside_group_docker_gets_there_in_one_run() -> None:
    password = "slip'way$1 \"x"
    with machines.systemd(password, "trixie") as machine:
        machines.clone(machine, "/home/deploy/a clone", "deploy")
        assert machine.run(f"cd '/home/deploy/a clone'\n{ALONE}", user="deploy").returncode == 0
        up = "cd '/home/deploy/a clone' && ./invoke up 2>&1 </dev/null"
        without = machine.run(up, user="deploy")
        assert without.returncode == 2, without.stdout
        assert "SLIPWAY_SUDO_PASSWORD" in without.stdout
        wrong = machine.run(up, user="deploy", SLIPWAY_SUDO_PASSWORD="wrong")
        assert wrong.returncode == 2, wrong.stdout
        assert "sudo did not accept the password" in wrong.stdout
        done = machine.run(up, user="deploy", SLIPWAY_SUDO_PASSWORD=password)
        assert done.returncode == 0, done.stdout
        assert "equals root" in done.stdout
        assert machine.run("id -nG deploy").stdout.split()[-1] == "docker"
        assert machine.run("systemctl is-enabled docker").stdout.strip() == "enabled"
        answer = machine.run("curl -si 'http://127.0.0.1:8080/tokens?uid=hhuser&pwd=hhuser'")
        assert answer.stdout.startswith("HTTP/1.1 200")
        kept = machine.run("grep -rlF \"slip'way\" '/home/deploy/a clone/.slipway' /home/deploy/.cache /tmp || true")
        assert kept.stdout == ""
        again = machine.run(up, user="deploy", SLIPWAY_SUDO_PASSWORD="not asked for")
        assert (again.returncode, "done: 0 changed" in again.stdout) == (0, True), again.stdout
