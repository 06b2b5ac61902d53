"""A container shows its image's name; what runs is told by the image itself."""

from __future__ import annotations

from dataclasses import replace

from slipway.config.models import Service
from slipway.docker.fake import FakeDaemon
from slipway.engine.reporter import null_reporter
from tests.unit.deployers.docker_subject import NAMES, on_docker


def test_a_container_is_named_by_a_tag_and_found_when_that_is_another_images(service: Service) -> None:
    daemon = FakeDaemon()
    subject = on_docker(daemon, service)
    first, deployer, releases = subject.desired, subject.deployments.deployer, subject.deployments.releases
    tag = NAMES.image("web", first.source)
    daemon.images.tag(first.image, tag)
    deployer.apply(first, null_reporter())
    running = daemon.containers.inspect(NAMES.container("web"))
    assert (running.image_name, running.image) == (tag, first.image)

    again = daemon.images.import_rootfs(b"the same sources, built again", tag, [])
    subject.deployments.state.forget()
    assert deployer.differs(daemon.state("hh"), first) is None
    assert [status.digest for status in subject.deployments.status.services()] == [first.image]
    rebuilt = replace(first, image=again)
    assert deployer.differs(daemon.state("hh"), rebuilt) == "it runs another image"
    deployer.apply(rebuilt, null_reporter())
    assert daemon.containers.inspect(NAMES.container("web")).image == again

    subject.deployments.state.forget()
    release = next(release for release in releases.history("web") if release.number == 1)
    deployer.rollback(release, lambda _: first.secrets, null_reporter())
    restored = daemon.containers.inspect(NAMES.container("web"))
    assert (restored.image, restored.image_name) == (first.image, first.image), "its tag is another image's by now"
