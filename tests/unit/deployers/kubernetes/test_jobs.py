"""A Job of the service's own: created again when its template changed, and let alone otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.deployers.kubernetes.test_releases import Deploys

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: m, image: IMAGE, args: [ARGS]}]}}
"""


@pytest.fixture
def deploys(tmp_path: Path) -> Deploys:
    made = Deploys(tmp_path)
    job(made, "up")
    made.deploy(1)
    made.cluster.changes.clear()
    return made


def job(made: Deploys, arguments: str, more: str = "") -> None:
    (made.folder / "manifests" / "job.yaml").write_text(JOB.replace("ARGS", arguments) + more)


def of_the_job(made: Deploys) -> list[str]:
    return [change for change in made.cluster.changes if "Job" in change]


def container(made: Deploys) -> dict[str, object]:
    found: dict[str, object] = made.cluster.objects["Job", "migrate"]["spec"]["template"]["spec"]["containers"][0]
    return found


def test_a_job_whose_manifest_changed_is_created_again_and_the_plan_says_so(deploys: Deploys) -> None:
    job(deploys, "down")
    reason = deploys.deployer.differs(deploys.facts, deploys.wanted(1))
    assert str(reason).endswith("; created and run again: Job migrate")
    deploys.deploy(1)
    assert of_the_job(deploys) == ["delete Job migrate", "apply Job migrate"]
    assert container(deploys)["args"] == ["down"]
    assert "Job migrate can't be changed: it is deleted, and created again" in deploys.heard


def test_a_job_with_the_services_image_runs_again_with_a_new_one(deploys: Deploys) -> None:
    reason = deploys.deployer.differs(deploys.facts, deploys.wanted(2))
    assert reason == "its sources differ from the running release; created and run again: Job migrate"
    deploys.deploy(2)
    assert of_the_job(deploys) == ["delete Job migrate", "apply Job migrate"]
    assert container(deploys)["image"] == "r/web@sha256:2"


def test_a_job_that_is_the_same_is_not_run_again(deploys: Deploys) -> None:
    reason = deploys.deployer.differs(deploys.facts, deploys.wanted(1, env={"A": "b"}))
    assert reason == "its settings or checks differ from the running release: env A"
    deploys.deploy(1, env={"A": "b"})
    assert of_the_job(deploys) == ["apply Job migrate"]


def test_a_job_that_removed_itself_after_its_end_is_no_drift(deploys: Deploys) -> None:
    job(deploys, "up", "  ttlSecondsAfterFinished: 60\n")
    wanted = deploys.deploy(1)
    del deploys.cluster.objects["Job", "migrate"]
    assert deploys.deployer.differs(deploys.facts, wanted) is None
