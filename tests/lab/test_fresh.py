"""A machine with Git and Python and nothing else: one command, and the service answers."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import machines
from tests.lab.machines import Machine

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


def on(machine: Machine, script: str) -> tuple[int, str]:
    """A script in the clone: its exit code, and all that it said."""
    done = machine.run(f"cd '{PLACE}'; set +e; {script}\n")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_one_command_takes_a_fresh_machine_to_an_answering_service(suite: str) -> None:
    with machines.fresh(suite) as machine:
        machines.clone(machine, PLACE)
        machine.run("apt-get -q -y purge python3-venv python3.1?-venv", timeout=120)  # Debian leaves it out by default
        code, said = on(machine, "./invoke up")
        assert code == 0, said
        assert "installing python3-venv" in said
        assert "dockerd does not run" in said

        code, said = on(machine, PYTHON)
        assert code == 0, said
        opened = json.loads(said.splitlines()[-1])
        assert (opened["header"]["alg"], opened["header"]["enc"]) == ("A128KW", "A128CBC-HS256")

        validate = (
            "curl -s -o /tmp/body -w '%{http_code} ' -X POST http://127.0.0.1:8080/tokens/validate "
            "-H 'Authorization: Bearer %s' -d perms=%s; cat /tmp/body"
        ).replace("%{http_code}", "%%{http_code}")
        token = opened["token"]
        assert on(machine, "./invoke restart --service auth")[0] == 0
        assert on(machine, validate % (token, "order.read"))[1].split() == ["200", "true"]
        assert on(machine, validate % (token, "user.admin"))[1].split() == ["200", "false"]
        assert on(machine, validate % (token + "-tampered", "order.read"))[1].split()[0] == "401"

        for again in ("./invoke up", "rm -rf .slipway; ./invoke up"):
            code, said = on(machine, again)
            assert (code, re.findall(r"done: (\d+) changed", said)) == (0, ["0"]), said
        code, said = on(
            machine, "git clone -q . /root/second && cd /root/second && ./invoke up && ./invoke deploy --plan"
        )
        assert (code, re.findall(r"done: (\d+) changed", said)) == (0, ["0", "0"]), said

        assert on(machine, "docker rm -f hh_auth_01")[0] == 0
        code, said = on(machine, "./invoke deploy --plan")
        assert (code, "hh_auth_01 is not there" in said) == (3, True), said
        assert on(machine, "./invoke deploy")[0] == 0


def test_a_sudo_user_outside_group_docker_gets_there_in_one_run() -> None:
    password = "slip'way$1 \"x"
    with machines.systemd(password, "trixie") as machine:
        machines.clone(machine, "/home/deploy/a clone", "deploy")
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
