"""Helping Hands whole, on this machine and on the Minikube: booked, killed, rolled over and back, and nothing is lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.project import ROOT
from tests.lab.hands import SERVICES, Bookings, Hands, Parties

pytestmark = pytest.mark.lab
LOCAL = pytest.mark.parametrize("hands", ["local"], indirect=True)  # the images are the same
MINIKUBE = pytest.mark.parametrize("hands", ["minikube"], indirect=True)


@pytest.fixture(scope="module", params=["local", "minikube"])
def hands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, jars: None) -> Iterator[Hands]:
    """All services, deployed to one environment after the other, with the mail catcher."""
    if request.param == "minikube":
        request.getfixturevalue("toys")  # the cluster is there
    folder = tmp_path_factory.mktemp("hands")
    services = folder / "services"
    shutil.copytree(ROOT / "services", services, ignore=shutil.ignore_patterns(".lein*"))
    made = Hands(folder, request.param, services)
    try:
        deploy(made)
        yield made
    finally:
        made.invoke("down", "--purge")
        made.mail("down", "--purge")
        if made.where == "minikube":
            subprocess.run(["kubectl", "delete", "namespace", made.name, "--wait=false"], check=False)
        made.purge()


def deploy(made: Hands) -> None:
    caught = made.mail("deploy")
    assert caught.exit == 0, caught.out + caught.err
    done = made.invoke("deploy", "--output", "json", timeout=900)
    assert done.exit == 0, "\n".join(done.failures) or done.out[-3000:]
    if made.where == "minikube":
        made.route()


@pytest.fixture
def parties(hands: Hands) -> Parties:
    return Parties(hands)


def awaited(hands: Hands, orders: list[str], each: int) -> dict[str, list[dict[str, str]]]:
    """The e-mails about these orders, once there are so many of each."""
    deadline = time.monotonic() + 60
    while True:
        caught = hands.caught
        mails = {order: [mail for mail in caught if order in mail["text"]] for order in orders}
        if all(len(found) >= each for found in mails.values()):
            return mails
        assert time.monotonic() < deadline, mails
        time.sleep(0.5)


def test_a_user_books_a_service_and_gets_an_email(hands: Hands, parties: Parties) -> None:
    assert hands.invoke("deploy", "--plan").exit == 0
    status = json.loads(hands.invoke("status", "--output", "json").out)
    states = {one["name"]: (one["wanted"], one["ready"]) for one in status["services"]}  # the catcher's among them
    copies = dict.fromkeys(SERVICES, 2 if hands.where == "minikube" else 1) | {"postgres": 1}
    assert {name: states[name] for name in copies} == {name: (count, count) for name, count in copies.items()}
    order = parties.ask("POST", "order", "/orders", parties.order)
    assert (order["state"], order["cost"]) == ("created", 42.5)
    assert parties.ask("PATCH", "order", f"/orders/{order['id']}", {"state": "confirmed"})["state"] == "confirmed"
    mails = awaited(hands, [order["id"]], 2)[order["id"]]
    assert [mail["subject"] for mail in mails] == ["Your booking is created", "Your booking is confirmed"]
    assert {mail["to"] for mail in mails} == {"ann@example.org"}


@MINIKUBE  # where two copies of alert take from the queue
def test_the_emails_of_an_order_come_in_the_order_of_what_they_tell(hands: Hands, parties: Parties) -> None:
    """The mail server is away while they are made: whatever could not be sent is tried again after a random pause."""
    states = ["confirmed", "done"]
    hands.kubectl("scale", "deployment/mail", "--replicas=0")
    hands.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=mail", "--timeout=60s")
    try:
        orders: list[str] = [parties.ask("POST", "order", "/orders", parties.order)["id"] for _ in range(20)]
        for order in orders:
            for state in states:
                parties.ask("PATCH", "order", f"/orders/{order}", {"state": state})
    finally:
        hands.kubectl("scale", "deployment/mail", "--replicas=1")
        hands.kubectl("rollout", "status", "deployment/mail", "--timeout=60s")
    for mails in awaited(hands, orders, 3).values():
        assert [mail["subject"] for mail in mails] == [f"Your booking is {state}" for state in ["created", *states]]


@LOCAL
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_whatever_is_asked_as_its_document_says(
    hands: Hands, parties: Parties, service: str, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "schemathesis.cli", "run", f"{parties.urls[service]}/openapi.json", "--no-color"]
    limits = ("--seed", "1", "--max-examples", "15", "--phases", "coverage,fuzzing")
    token = ("--header", f"Authorization: {parties.session.headers['Authorization']!s}")
    done = subprocess.run(
        [*words, *limits, *token], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@LOCAL
@pytest.mark.parametrize("broken", [("order", "alert"), ("consumer", "service"), ("provider",)], ids=" and ".join)
def test_a_broken_handler_fails_a_deploy_and_the_running_release_stays(
    hands: Hands, parties: Parties, broken: tuple[str, ...]
) -> None:
    files = [hands.services / name / "src" / "helping_hands" / name / "operations.clj" for name in broken]
    before = {file: file.read_text() for file in files}
    try:
        for file, text in before.items():
            first = r'\1 (fn [_ _] (throw (Exception. "broken")))'
            file.write_text(re.sub(r"(\(def all \{\"\w+\") #'[a-z-]+", first, text))
        done = hands.invoke("deploy", "--output", "json", timeout=600)
        assert done.exit == 1, done.out[-4000:]
        failed = {name for name, status in done.steps.items() if status == "failed"}
        assert failed == {f"{name}/smoke" for name in broken}
        assert parties.ask("POST", "order", "/orders", parties.order)["state"] == "created"
    finally:
        for file, text in before.items():
            file.write_text(text)


def test_a_request_that_is_sent_again_books_once(parties: Parties) -> None:
    parties.session.headers["Idempotency-Key"] = "once"
    try:
        first, second = (parties.ask("POST", "order", "/orders", parties.order) for _ in range(2))
    finally:
        del parties.session.headers["Idempotency-Key"]
    assert first == second


def test_every_service_and_the_database_are_killed_while_bookings_go_on_and_none_is_lost(
    hands: Hands, parties: Parties
) -> None:
    with Bookings(parties, 6) as bookings:
        assert bookings.resumed(20), bookings.refused[-3:]
        for service in (*SERVICES, "postgres"):
            hands.kill(service)
            time.sleep(1)
            assert bookings.resumed(60), f"after {service} was killed: {bookings.refused[-3:]}"
    assert len(bookings.booked) > 20
    assert bookings.lost(180) == []  # a message that a killed worker had is free again after 120 s
    deadline = time.monotonic() + 30  # until a copy of each is ready again
    while (plan := hands.invoke("deploy", "--plan")).exit:
        assert time.monotonic() < deadline, plan.out


def test_a_release_with_a_migration_is_rolled_back_and_the_earlier_one_works_with_the_data(
    hands: Hands, parties: Parties
) -> None:
    consumer = hands.services / "consumer"
    tables = consumer / "resources" / "migrations" / "consumer"
    (tables / "002-language.sql").write_text("ALTER TABLE consumer.profiles ADD COLUMN language text;\n")
    main = consumer / "src" / "helping_hands" / "consumer" / "main.clj"
    main.write_text(main.read_text().replace('["001-tables"]', '["001-tables" "002-language"]'))
    done = hands.invoke("deploy", "--output", "json", timeout=600)
    assert done.exit == 0, done.out[-4000:]
    touched = {name for name, status in done.steps.items() if status == "changed"}
    assert {name.partition("/")[0] for name in touched} == {"consumer"}
    back = hands.invoke("rollback", "--service", "consumer")
    assert back.exit == 0, back.out
    assert "the data of postgres stays as it is" in back.out
    assert parties.ask("GET", "consumer", f"/consumers/{parties.order['consumer']}")["name"] == "Ann"


def test_all_services_roll_over_under_load_and_no_request_fails(hands: Hands, parties: Parties) -> None:
    hands.without_gaps()
    for name in SERVICES:
        path = hands.services / name / "service.yaml"
        path.write_text(path.read_text().replace("LOG_LEVEL: info", "LOG_LEVEL: warn"))
    with Bookings(parties, 6) as bookings:
        done = hands.invoke("deploy", "--output", "json", timeout=600)
        time.sleep(8)  # kept connections end with their pods, which drain
    assert done.exit == 0, done.out[-4000:]
    assert {done.steps[f"{name}/release"] for name in SERVICES} == {"changed"}
    assert bookings.refused == []
    assert len(bookings.booked) > 50
    assert bookings.lost(60) == []
