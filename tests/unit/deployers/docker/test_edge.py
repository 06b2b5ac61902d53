"""What the edge is told of the services that run, and when it is made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.expose import Acme, CertificateFiles, Expose
from slipway.config.models import Service
from slipway.deployers.docker.edge import Edge, Exposure, caddyfile, edge_differs, exposures, mend
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import EXPOSE, LABEL, ROLE, SERVICE
from slipway.engine.reporter import null_reporter
from slipway.errors import UsageError
from tests.unit.deployers.docker_subject import NAMES, Answering, on_docker

EDGE = Edge("slipway/base-edge:1", Acme())


def exposed(daemon: FakeDaemon, service: str, how: Expose, name: str = "") -> str:
    """A container that serves, and is exposed."""
    image = daemon.images.import_rootfs(service.encode(), f"hh/{service}:1", [])
    labels = {LABEL: "hh", SERVICE: service, ROLE: "serving", EXPOSE: how.model_dump_json()}
    made = daemon.containers.create(ContainerSpec(name or NAMES.container(service), image, labels, publish={8080: 0}))
    daemon.containers.start(made)
    return made


@pytest.fixture
def daemon() -> FakeDaemon:
    made = FakeDaemon()
    made.images.import_rootfs(b"edge", EDGE.image, [])
    return made


def test_paths_of_a_host_are_asked_the_longest_first_and_what_nobody_has_is_not_found() -> None:
    found = caddyfile(
        [
            Exposure("auth", 8080, Expose(host="api.example.org", path="/tokens")),
            Exposure("order", 8080, Expose(host="api.example.org", path="/tokens/orders/", body="1Mi", within="5s")),
            Exposure("shop", 9000, Expose(host="shop.example.org", tls="internal")),
        ],
        Acme(email="ops@example.org", ca="https://ca.example.org/directory"),
    )
    lines = [line.strip() for line in found.splitlines()]
    assert [line for line in lines if line.startswith(("@", "handle", "reverse_proxy", "respond", "tls"))] == [
        "@order path /tokens/orders /tokens/orders/*",
        "handle @order {",
        "reverse_proxy order:8080 {",
        "@auth path /tokens /tokens/*",
        "handle @auth {",
        "reverse_proxy auth:8080 {",
        "handle {",
        "respond 404",
        "tls internal",
        "handle {",
        "reverse_proxy shop:9000 {",
    ]
    assert {"email ops@example.org", "acme_ca https://ca.example.org/directory", "admin off"} <= {*lines}
    assert {"max_size 1048576", "response_header_timeout 5s"} <= {*lines}
    assert found.count("{") == found.count("}")


def test_only_what_serves_is_exposed(daemon: FakeDaemon) -> None:
    how = Expose(host="api.example.org")
    exposed(daemon, "web", how)
    exposed(daemon, "other", how, name=NAMES.next("other"))
    exposed(daemon, "third", how, name=NAMES.previous("third"))
    assert exposures(daemon.state("hh")) == [Exposure("web", 8080, how)]


def test_the_edge_comes_changes_and_goes_with_what_is_exposed(daemon: FakeDaemon) -> None:
    assert edge_differs(daemon.state("hh"), NAMES, EDGE) is None
    made = exposed(daemon, "web", Expose(host="api.example.org"))
    assert edge_differs(daemon.state("hh"), NAMES, EDGE) == "nothing answers the world for it"
    mend(daemon, NAMES, EDGE, null_reporter())
    first = daemon.containers.inspect(NAMES.edge)
    assert (first.ports[443], first.mounts) == (("0.0.0.0", 443), {"/data": NAMES.certificates})
    assert edge_differs(daemon.state("hh"), NAMES, EDGE) is None
    mend(daemon, NAMES, EDGE, null_reporter())
    assert daemon.containers.inspect(NAMES.edge) == first

    exposed(daemon, "more", Expose(host="more.example.org"))
    assert edge_differs(daemon.state("hh"), NAMES, EDGE) == f"{NAMES.edge}: its environment variables differ"
    mend(daemon, NAMES, EDGE, null_reporter())
    assert daemon.containers.inspect(NAMES.edge).id != first.id

    for container in (made, NAMES.container("more")):
        daemon.containers.remove(container)
    mend(daemon, NAMES, EDGE, null_reporter())
    assert daemon.containers.find(NAMES.edge) is None
    assert [volume.name for volume in daemon.state("hh").volumes] == [NAMES.certificates]


def test_the_edge_is_that_of_what_runs_behind_each_deploy_rollback_and_down(
    daemon: FakeDaemon, service: Service, answering: str
) -> None:
    subject = on_docker(daemon, service, Answering(answering), EDGE)
    subject.apply()
    assert daemon.containers.find(NAMES.edge) is None
    public = subject.changed(expose=Expose(host="api.example.org"))
    assert subject.differs(public)
    subject.apply(public)
    assert any("api.example.org {" in value for value in daemon.containers.inspect(NAMES.edge).env)
    assert subject.differs(public) is None

    assert subject.deployments.make_status().warnings() == []
    daemon.containers.stop(NAMES.edge, 0)
    subject.deployments.state.forget()
    url = "nothing answers at https://api.example.org/: "
    assert subject.deployments.make_status().warnings() == [f"{url}{NAMES.edge} is exited"]
    daemon.containers.remove(daemon.containers.inspect(NAMES.edge).id)
    subject.deployments.state.forget()
    assert subject.deployments.make_status().warnings() == [f"{url}there is no edge"]
    assert subject.differs(public) == "nothing answers the world for it"
    subject.apply(public)
    assert subject.differs(public) is None

    earlier = subject.deployments.releases.history("web")[-1]
    subject.deployments.deployer.rollback(earlier, lambda _: {}, null_reporter())
    assert daemon.containers.find(NAMES.edge) is None, "a release that was not exposed is not"
    subject.apply(public)
    subject.deployments.operations.down(["web"], null_reporter())
    assert daemon.containers.find(NAMES.edge) is None


def test_an_environment_where_nothing_is_exposed_any_more_loses_its_edge(daemon: FakeDaemon) -> None:
    exposed(daemon, "web", Expose(host="api.example.org"))
    mend(daemon, NAMES, EDGE, null_reporter())
    mend(daemon, NAMES, None, null_reporter())
    assert daemon.containers.find(NAMES.edge) is None


def test_a_certificate_of_its_own_is_in_a_file_of_its_own(daemon: FakeDaemon, tmp_path: Path) -> None:
    cert, key = tmp_path / "a.pem", tmp_path / "a.key"
    cert.write_text("CERT")
    key.write_text("KEY")
    how = Expose(host="api.example.org", tls=CertificateFiles(cert=str(cert), key=str(key)))
    exposed(daemon, "web", how)
    spec = EDGE.spec(NAMES, daemon.state("hh"))
    assert spec
    assert {name: value for name, value in spec.env.items() if name.startswith("PEM_")} == {
        "PEM_cert_api_example_org": "CERT",
        "PEM_key_api_example_org": "KEY",
    }
    assert "tls /tmp/cert_api_example_org.pem /tmp/key_api_example_org.pem" in spec.env["CADDYFILE"]
    mend(daemon, NAMES, EDGE, null_reporter())
    running = daemon.containers.inspect(NAMES.edge)
    key.unlink()
    assert EDGE.files([how, Expose(host="b.example.org")]) == [str(cert), str(key)]
    with pytest.raises(UsageError, match=r"a\.key can't be read as a PEM file"):
        mend(daemon, NAMES, EDGE, null_reporter())
    assert daemon.containers.inspect(NAMES.edge) == running, "what answers goes on"


@pytest.mark.parametrize("host", ["localhost", "api..org", "-a.example.org", "API.example.org", "a.example.org/x", ""])
def test_what_is_no_name_of_a_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not the full name of a host"):
        Expose(host=host)


def test_a_changed_exposure_is_another_release() -> None:
    from slipway.deployers.docker.container import settings_digest

    service = Service(name="web")
    digests = {
        settings_digest(service.model_copy(update={"expose": how}), {})
        for how in (None, Expose(host="a.example.org"), Expose(host="a.example.org", path="/x"))
    }
    assert len(digests) == 3
