"""The picture of the services: who needs whom, on which ports, and what is a store."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.mermaid import Node, flowchart, implied, node_id

NEEDS: Mapping[str, tuple[str, ...]] = {
    "auth": (),
    "store": (),
    "provider": ("auth", "store"),
    "service": ("auth", "provider"),
    "order": ("auth", "service", "store"),
}


def test_the_flowchart_says_who_needs_whom_on_which_port_and_draws_stores_as_cylinders() -> None:
    nodes = [Node(name, 8080 + i, needs, store=name == "store") for i, (name, needs) in enumerate(NEEDS.items())]
    text = flowchart(nodes, "Services of <us> & co")
    assert text == (
        "---\n"
        'title: "Services of <us> & co"\n'
        "---\n"
        "flowchart TD\n"
        '    auth["auth<br/>8080"]\n'
        '    order["order<br/>8084"]\n'
        '    provider["provider<br/>8082"]\n'
        '    service["service<br/>8083"]\n'
        '    store[("store<br/>8081")]\n'
        "    order -.-> auth\n"
        "    order --> service\n"
        "    order -.-> store\n"
        "    provider --> auth\n"
        "    provider --> store\n"
        "    service -.-> auth\n"
        "    service --> provider\n"
    )
    assert flowchart(reversed(nodes), "Services of <us> & co") == text


def test_an_arrow_that_follows_from_others_is_implied() -> None:
    assert implied(NEEDS) == {("service", "auth"), ("order", "auth"), ("order", "store")}


def test_a_name_that_mermaid_would_misread_is_another_id_and_the_same_label() -> None:
    assert [node_id(name) for name in ("auth", "my--store", "end")] == ["auth", "my__store", "end_"]
    assert '    end_["end<br/>80"]\n' in flowchart([Node("end", 80)], "x")


def test_a_project_without_services_has_an_empty_flowchart() -> None:
    assert flowchart([], "nothing").endswith("---\nflowchart TD\n")
