"""A service's image: its build by Docker; its tags by version and by digest."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.docker.labels import LABEL, SERVICE, SOURCE, source_tag
from slipway.docker.protocols import Daemon
from slipway.docker.state import Image, State
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem

if TYPE_CHECKING:
    from slipway.engine.once import Once
    from slipway.images.jar_layer import Inputs


def version_tag(project: str, service: str, version: str) -> str:
    """The image's tag by the service's version."""
    return f"{project}/{service}:{version}"


def find(state: State, project: str, service: str, digest: str) -> Image | None:
    """The image of these sources, if the daemon has it."""
    return state.tagged(source_tag(project, service, digest))


@dataclass(frozen=True)
class ImageBuild:
    """What an image is built from. `base` is the value of `ARG BASE`, `env` what a start of the service needs.

    `container_labels` are those of the container of such a start, by which one left by a killed run is found.
    """

    project: str
    service: str
    version: str
    context: bytes
    dockerfile: str
    digest: str
    base: str
    platform: str
    env: Mapping[str, str]
    container_labels: Mapping[str, str]

    @property
    def tags(self) -> tuple[str, str]:
        """The image's tags: by its sources and by its version."""
        digest = source_tag(self.project, self.service, self.digest)
        return digest, version_tag(self.project, self.service, self.version)


def build(daemon: Daemon, spec: ImageBuild, archives: Once[bytes], report: Reporter) -> str:
    """The id of the image, tagged: the last one with another jar where only that changed, else built as a whole.

    `archives` are the class data that this run has made.
    """
    from slipway.images import jar_layer  # here, since most runs build nothing

    state = daemon.state(spec.project)
    before = state.tagged(spec.tags[1])
    given = jar_layer.inputs(spec.context, spec.dockerfile, spec.platform, spec.base)
    image = jar_layer.replace(daemon, before, spec.base, given, spec.digest, report) if before and given else None
    if image is None:
        return _build(daemon, spec, state, archives, given, report)
    for tag in spec.tags:
        daemon.images.tag(image, tag)
    return image


def _build(
    daemon: Daemon, spec: ImageBuild, state: State, archives: Once[bytes], given: Inputs | None, report: Reporter
) -> str:
    """Build the image, add its class data, rewrite its layers' timestamps, tag it and report its size; its id."""
    from slipway.images import class_data_sharing as classes
    from slipway.images import jar_layer
    from slipway.images import reproducible_layers as layers

    labels = {LABEL: spec.project, SERVICE: spec.service, SOURCE: spec.digest}
    built = daemon.images.build(spec.context, spec.dockerfile, (), {"BASE": spec.base}, labels, spec.platform, report)
    base = daemon.images.inspect(built.base).layers if built.base else ()
    start = classes.Start(built.id, base, spec.env, spec.container_labels)
    own = [one for one in state.images if one.labels.get(LABEL) == spec.project]
    data = classes.class_data(daemon, start, own, archives, report)
    before = state.tagged(spec.tags[1])
    previous = daemon.images.inspect(before.id).layers if before else ()
    with tempfile.TemporaryDirectory(prefix="slipway-image-") as folder:
        saved, rewritten = Path(folder) / "saved.tar", Path(folder) / "rewritten.tar"
        daemon.transfers.save(built.id, str(saved), report)
        content = layers.read(saved, len(base), built.id)
        if data:
            data.add_to(content)
        if given and jar_layer.only_copies(built.instructions):
            jar_layer.record(content, given, built.instructions)
        found = content.write(rewritten)
        image = daemon.transfers.load(str(rewritten), report)
    for tag in spec.tags:
        daemon.images.tag(image, tag)
    remove_step(daemon, built.id, report)
    for line in layers.describe(found, len(base), previous):
        report.output("stdout", line)
    size, new = sum(layer.size for layer in found), sum(layer.size for layer in found if layer.id not in previous)
    report.note(f"{spec.tags[1]}, {size / 1e6:.0f} MB, {new / 1e6:.2f} MB of it new")
    return image


def remove_step(daemon: Daemon, image: str, report: Reporter) -> None:
    """Remove the image that a build went through. One that others use meanwhile stays: the build is complete."""
    try:
        daemon.images.untag(image)
    except ConnectionLost:
        raise
    except Problem as problem:
        report.note(f"{problem.summary}; `docker image prune` removes it: {problem.details}")


def tag_prebuilt(
    daemon: Daemon, reference: str, project: str, service: str, version: str, digest: str, report: Reporter
) -> None:
    """Tag an image that others built with the project's tags. Raises Problem if it can't be pulled."""
    present = next((i.id for i in daemon.state(project).images if reference in i.tags), None)
    image = present or daemon.transfers.pull(reference, report)
    for tag in (source_tag(project, service, digest), version_tag(project, service, version)):
        daemon.images.tag(image, tag)
    report.note(f"{reference} is on this Docker")
