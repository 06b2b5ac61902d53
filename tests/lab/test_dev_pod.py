"""`dev` on the real Minikube: a pod that takes no traffic unless asked, and drift that is told and taken back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.integration.project import Another
from tests.integration.test_dev import PAGE, session, write_shop
from tests.lab.toys import Toys

pytestmark = pytest.mark.lab
PATCHED = PAGE.replace("(greeting)", '(str (greeting) "!")')
DRIFT = "a dev pod takes its traffic; patched: shop.page"


@dataclass
class Shop(Another):
    """The shop, on the Minikube."""

    where: str = "minikube"

    def kubectl(self, *words: str) -> Any:
        """What kubectl answers of the project's namespace, as JSON."""
        line = ["kubectl", "--context", "minikube", "--namespace", self.name, *words, "--output", "json"]
        return json.loads(subprocess.check_output(line, text=True))

    def answers(self) -> set[str]:
        """What twenty requests through the Service are answered."""
        address = self.kubectl("get", "service", "shop")["spec"]["clusterIP"]
        script = f"for i in $(seq 20); do curl -s http://{address}:9000/; echo; done"
        line = ["docker", "exec", "minikube", "sh", "-c", script]
        return {*subprocess.check_output(line, text=True).split()}

    def comes_to_answer(self, text: str) -> None:
        """Wait until all requests are answered so: the nodes' rules follow what selects within seconds."""
        until = time.monotonic() + 20
        while (found := self.answers()) != {text}:
            assert time.monotonic() < until, found
            time.sleep(0.5)

    @property
    def selector(self) -> dict[str, str]:
        """What the Service selects by."""
        return dict(self.kubectl("get", "service", "shop")["spec"]["selector"])

    @property
    def pods(self) -> dict[str, dict[str, Any]]:
        """The pods that are not ending, by name, each with its labels."""
        found = [one["metadata"] for one in self.kubectl("get", "pods")["items"]]
        return {one["name"]: one["labels"] for one in found if "deletionTimestamp" not in one}

    @property
    def status(self) -> dict[str, Any]:
        """The shop, as `status` has it."""
        return dict(json.loads(self.invoke("status", "--output", "json").out)["services"][0])

    def save(self, text: str) -> None:
        (self.service / "code" / "shop" / "page.clj").write_text(text)


@pytest.fixture(scope="module")
def deployed(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("shop") / "p")
    write_shop(shop)
    done = shop.invoke("deploy")
    assert done.exit == 0, done.out + done.err
    yield shop
    shop.invoke("down", "--purge")
    subprocess.run(["kubectl", "--context", "minikube", "delete", "namespace", shop.name, "--wait=false"], check=True)
    shop.purge()


@pytest.fixture
def shop(deployed: Shop) -> Shop:
    deployed.save(PAGE)
    return deployed


def test_a_pod_beside_the_copies_takes_no_traffic_and_ctrl_c_leaves_nothing(shop: Shop) -> None:
    copies, selector = shop.pods.keys(), shop.selector
    with session(shop) as dev:
        url = dev.until(r"^shop +(http://127.0.0.1:\d+)$")[1]
        assert b'5:value7:"hello"' in dev.evaluated("(shop.page/text)")
        dev.until("^1 of 1 checks passed in")
        shop.save(PATCHED)
        took = dev.until(r"  shop\.page  \(evaluated (\d+\.\d\d) s after the save\)  0 of 1 checks passed")[1]
        assert float(took) < 5
        assert requests.get(url, timeout=10).text == "hello!"
        assert shop.answers() == {"hello"}
        status = shop.status
        assert status["drift"] == ""
        assert [(one["intercepts"], one["patched"]) for one in status["dev"]] == [(False, ["shop.page"])]
        own = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/part-of": shop.name}
        assert own.items() <= shop.pods[status["dev"][0]["name"]].items(), "policies that hold for copies hold for it"
        shop.save(PAGE.replace("(greeting)", "(greetin)"))
        dev.until(r"code/shop/page\.clj:2:15: Unable to resolve symbol: greetin in this context")
        shop.save(PAGE)
        dev.until(r"  shop\.page  \(evaluated .*  1 of 1 checks passed")
        assert shop.invoke("deploy", "--plan").exit == 0, "no drift of the release"
    assert dev.process.returncode == 130
    assert (shop.pods.keys(), shop.selector) == (copies, selector)


def test_all_traffic_is_taken_and_given_back_by_ctrl_c(shop: Shop) -> None:
    copies, selector = shop.pods.keys(), shop.selector
    with session(shop, "--intercept") as dev:
        dev.until("^1 of 1 checks passed in")
        shop.save(PATCHED)
        dev.until(r"  shop\.page  \(evaluated")
        assert shop.answers() == {"hello!"}
        second = shop.invoke("dev", "shop", "--intercept")
        assert second.exit == 1
        assert "takes the traffic of shop already" in second.err + second.out
        assert shop.answers() == {"hello!"}
    assert dev.process.returncode == 130
    assert (shop.pods.keys(), shop.selector) == (copies, selector)
    shop.comes_to_answer("hello")


def test_what_a_killed_session_left_is_told_and_a_deploy_takes_it_back(shop: Shop) -> None:
    copies, selector, release = shop.pods.keys(), shop.selector, shop.status["release"]
    with session(shop, "--intercept") as dev:
        dev.until("^1 of 1 checks passed in")
        shop.save(PATCHED)
        dev.until(r"  shop\.page  \(evaluated .* checks passed")
        dev.process.kill()
        dev.process.wait(60)
    shop.save(PAGE)
    assert shop.answers() == {"hello!"}
    assert shop.status["drift"] == DRIFT
    assert f"shop: {DRIFT}" in shop.invoke("status").out
    plan = shop.invoke("deploy", "--plan")
    assert (plan.exit, DRIFT in plan.out) == (3, True), plan.out
    done = shop.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert {step for step, status in done.steps.items() if status == "changed"} == {"shop/release"}
    shop.comes_to_answer("hello")
    assert (shop.pods.keys(), shop.selector, shop.status["release"]) == (copies, selector, release)
    assert shop.invoke("deploy", "--plan").exit == 0


def test_the_next_session_removes_what_a_killed_one_left(shop: Shop) -> None:
    copies, selector = shop.pods.keys(), shop.selector
    with session(shop, "--intercept") as dev:
        dev.until("^1 of 1 checks passed in")
        dev.process.kill()
        dev.process.wait(60)
    (left,) = shop.pods.keys() - copies
    with session(shop) as dev:
        dev.until("^1 of 1 checks passed in")
        assert left not in shop.pods
        assert shop.selector == selector
    assert shop.pods.keys() == copies


def test_others_deploy_the_service_meanwhile_and_the_session_says_what_became_of_its_pod(shop: Shop) -> None:
    with session(shop) as dev:
        dev.until("^1 of 1 checks passed in")
        shop.edit("service.yaml", "port: 9000", "port: 9000\nenv: {LEVEL: debug}")
        assert shop.invoke("deploy").exit == 0
        shop.save(PATCHED)
        dev.until(r"  shop\.page  \(evaluated .*  0 of 1 checks passed")
        assert shop.answers() == {"hello"}
    assert dev.process.returncode == 130
    shop.save(PAGE)
    with session(shop, "--intercept") as dev:
        dev.until("^1 of 1 checks passed in")
        assert shop.invoke("deploy").exit == 0
        assert not [name for name in shop.pods if "-dev-" in name]
        shop.save(PATCHED)
        dev.until("pod shop-dev-.* is gone: a deploy or `down` of shop has removed it")
        assert dev.process.wait(60) == 1
    shop.comes_to_answer("hello")
