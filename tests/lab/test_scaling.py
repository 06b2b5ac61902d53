"""Scaling by load: metrics-server is installed where the cluster lacks it, replicas rise and fall."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
import requests

from tests.lab.load import in_cluster
from tests.lab.toys import Toys

pytestmark = pytest.mark.lab


def replicas(toy: Toys) -> int:
    return int(toy.object("deployment")["spec"]["replicas"])


@pytest.mark.long
def test_load_raises_the_replicas_and_its_end_lets_them_fall(toy: Toys) -> None:
    toy.write(replicas=1, autoscale={"max": 3, "cpu": 50})
    done = toy.invoke("deploy", "--output", "json", timeout=400)
    assert done.exit == 0, done.out
    assert done.steps["metrics"] in {"changed", "unchanged"}
    assert toy.deploy("--plan").exit == 0
    refused = toy.invoke("scale", "--service", "toy", "--replicas", "2")
    assert refused.exit in {1, 2}
    assert "scaled by its autoscaler" in refused.out + refused.err
    url = in_cluster(toy)
    ended = threading.Event()

    def busy() -> None:
        while not ended.is_set():
            with suppress(requests.RequestException):  # a pod that is asked too much may let one wait
                requests.get(f"{url}work", timeout=10)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 150
        while replicas(toy) < 3:
            assert time.monotonic() < deadline, toy.kubectl("describe", "hpa")
            time.sleep(1)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert toy.deploy("--plan").exit == 0  # the autoscaler's number is no drift
    deadline = time.monotonic() + 240
    while replicas(toy) > 1:
        assert time.monotonic() < deadline, toy.kubectl("describe", "hpa")
        time.sleep(2)


def test_copies_stay_while_a_service_becomes_autoscaled_and_none_is_claimed_when_it_is_no_more(toy: Toys) -> None:
    toy.write(replicas=3)
    assert toy.deploy().exit == 0
    toy.write(replicas=1, autoscale={"max": 4, "cpu": 90})
    done = toy.invoke("deploy", "--output", "json", timeout=400)
    assert done.exit == 0, done.out
    assert replicas(toy) == 3 or "SuccessfulRescale" in toy.kubectl(
        "describe", "hpa"
    )  # of a slow deploy: a minute idle
    toy.kubectl("scale", "deployment/toy", "--replicas=4")
    assert toy.deploy("--plan").exit == 0
    toy.write(replicas=2)
    done = toy.deploy()
    assert done.exit == 0, done.out
    assert (replicas(toy), toy.object("hpa")) == (2, {})
    assert toy.deploy("--plan").exit == 0
