"""What can't work later is refused now: with its line, in the file that says so, and with the form to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.config.models import Service
from tests.unit.config.conftest import PLAIN, errors, service

STORAGE = "storage: {data: {path: /data}}\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("replicas: 3\n" + STORAGE, "4: replicas: 3 can't go with storage: the copies would write to the same files · "),
        (STORAGE + "autoscale: {max: 2}\n", "5: autoscale can't go with storage: the copies would write to the same files"),
        ("replicas: 3\nautoscale: {max: 2}\n", "5: autoscale.max is 2, which is less than replicas: 3 · max: 3 or more"),
        ("storage:\n  a: {path: /data}\n  b: {path: //data/}\n", "6: storage.b.path: /data is already that of storage a"),
        ("storage:\n  a: {path: /tmp/}\n", "5: storage.a.path: /tmp is already the container's own /tmp"),
        ("storage:\n  tmp: {path: /data}\n", "5: storage can't be named tmp: the volume for /tmp has that name · for example `data`"),
        ("storage:\n  a: {path: '/data:ro'}\n", "5: storage.a.path has a `:`, `,` or newline, which"),
        ("storage:\n  a: {path: '/data,x'}\n", "5: storage.a.path has a `:`, `,` or newline, which"),
        ("storage:\n  a: {path: /data/..}\n", "5: storage.a.path: / can't be a volume · for example /var/lib/data"),
        ("storage:\n  a: {path: /proc/x}\n", "5: storage.a.path: /proc/x can't be a volume"),
        ("storage:\n  a: {path: data}\n", "5: storage.a.path: 'data' is not an absolute path such as /var/lib/data"),
        ("storage:\n  a: {path: /data, size: 10}\n", "5: storage.a.size: 10 is 10 bytes, and a volume needs 1Mi · with a unit: 10Mi"),
        ("resources: {memory: 512}\n", "4: resources.memory: 512 is 512 bytes, and a container needs 6Mi · with a unit: 512Mi"),
        ("resources: {memory: 512k}\n", "4: resources.memory: 512k is 512000 bytes, and a container needs 6Mi · at least 6Mi"),
        ("resources: {cpu: 500}\n", "4: resources.cpu: 500 CPUs for one copy · 500m, if thousandths are meant"),
        ("resources: {cpu: 0.0001}\n", "4: resources.cpu: 0.0001 is less than 1m · at least 1m"),
        ("resources:\n  cpu: 500m\n  limits: {cpu: 100m}\n", "6: resources.limits.cpu: 100m is less than resources.cpu: 500m"),
        ("resources: {limits: {memory: 64Mi}}\n", "4: resources.limits.memory: 64Mi is less than resources.memory: 256Mi"),
        ("resources: {limits: {gpu: 1}}\n", "4: unknown key resources.limits.gpu"),
        (STORAGE + "smoke: {reuse: true}\n", "5: smoke.reuse: a test would see the data of the one before it in this service's storage · give `snapshot` and `restore`"),
        ("smoke: {snapshot: [save]}\n", "4: smoke: use snapshot and restore together"),
        ("smoke: {restore: [back]}\n", "4: smoke: use snapshot and restore together"),
        ("health: {ready: health}\n", "4: health.ready: 'health' is not a path of a URL · for example /health/ready"),
        ("health: {live: 'http://x/ready'}\n", "4: health.live: 'http://x/ready' is not a path"),
        ("health: {live: ''}\n", "4: health.live: '' is not a path"),
        ("env:\n  'A=B': x\n", "5: env: 'A=B' can't be the name of a variable"),
        ('env:\n  A: "x\\0"\n', "5: env.A holds a NUL, which no variable can"),
        ("publish: 0\n", "4: publish must be at least 1, not 0"),
        ("publish: 65536\n", "4: publish must be at most 65535, not 65536"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(team: Path, text: str, error: str) -> None:
    service(team, "web", PLAIN + text)
    found = errors(team)
    assert len(found) == 1
    assert found[0].startswith(f"apps/web/service.yaml:{error}")


@pytest.mark.parametrize(
    ("own", "override", "error"),
    [
        (STORAGE, "replicas: 2", "3: web: replicas: 2 can't go with storage"),
        (STORAGE, "autoscale: {max: 2}", "3: web: autoscale can't go with storage"),
        ("autoscale: {max: 4}\n", "replicas: 5", "2: web: autoscale.max is 4, which is less than replicas: 5"),
        ("replicas: 5\n", "autoscale: {max: 4}", "3: web: autoscale.max is 4, which is less than replicas: 5"),
        ("", "resources: {memory: 512}", "3: web: resources.memory: 512 is 512 bytes"),
    ],
)
def test_an_environments_overrides_are_judged_with_what_they_change(
    team: Path, own: str, override: str, error: str
) -> None:
    service(team, "web", PLAIN + own)
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text(f"services:\n  web:\n    {override}\ndocker: here\n")
    found = errors(team)
    assert len(found) == 1
    assert found[0].startswith(f"config/environments/staging.yaml:{error}")


def test_a_fault_of_the_service_itself_is_reported_once(team: Path) -> None:
    service(team, "web", PLAIN + "resources: {memory: 512}\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("services: {web: {replicas: 2}}\ncluster: {}\n")
    assert [line.partition(": ")[0] for line in errors(team)] == ["apps/web/service.yaml:4"]


@pytest.mark.parametrize(("memory", "ok"), [("2", False), ("1799m", False), ("1800m", True), ("2g", True)])
def test_a_minikube_needs_the_memory_that_it_asks_for(team: Path, memory: str, ok: bool) -> None:
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "minikube.yaml").write_text(f"cluster:\n  memory: {memory}\n")
    if ok:
        load(team)
    else:
        assert errors(team)[0].startswith(
            f"config/environments/minikube.yaml:2: cluster.memory: {memory} is too little"
        )


def test_what_works_is_not_refused(team: Path) -> None:
    text = "replicas: 1\nstorage: {a: {path: /data}, b: {path: /data/b/, size: 1048576}}\nhealth: {ready: /r?x=1}\n"
    text += "resources: {cpu: 64, memory: 6291456}\nenv: {a.b-c: '', B: x}\nstart_within: 1m30s\n"
    service(team, "web", PLAIN + text)
    service(team, "api", "name: api\nbuild: none\nport: 1\nreplicas: 2\nautoscale: {max: 2}\n")
    web = load(team).services["web"]
    assert web.start_seconds == 90


def test_an_environment_can_give_a_service_more_time(team: Path) -> None:
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("services: {web: {start_within: 3m}}\ncluster: {}\n")
    config = load(team)
    assert config.service_for(config.environments["staging"], "web").start_seconds == 180
    assert config.services["web"].start_seconds is None


def test_a_record_of_a_service_that_says_nothing_of_its_start_is_as_before() -> None:
    assert "start_within" not in Service(name="web").model_dump()
    assert Service(name="web", start_within="3m").model_dump()["start_within"] == "3m"


@pytest.mark.parametrize(
    "text",
    [
        "smoke: {reuse: true}\n",
        STORAGE + "smoke: {snapshot: [save], restore: [bring, back]}\n",
        STORAGE + "smoke: {reuse: true, snapshot: [save], restore: [bring, back]}\n",
        STORAGE + "smoke: {reuse: false}\n",
    ],
)
def test_a_service_can_say_that_smoke_tests_use_it_again(team: Path, text: str) -> None:
    service(team, "web", PLAIN + text)
    assert load(team).services["web"].reusable == ("false" not in text)


def test_a_record_of_a_service_that_is_never_used_again_is_as_before() -> None:
    assert "smoke" not in Service(name="web").model_dump()
    assert Service.model_validate({"name": "web", "smoke": {"reuse": True}}).model_dump()["smoke"]["reuse"] is True
