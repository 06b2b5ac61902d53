"""Why Docker could not build an image: its own words, the line that they are about, and what to do about it."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.errors import BuildKitNeeded, ImageVanished, Problem

VANISHED = re.compile(  # moby's words for an image of a build step, or a layer of one, that was removed meanwhile
    r"sha256[:/][0-9a-f]{64}.*(no such|does not exist|not found)"
    r"|(no such|unknown|unrecognized|not found|unable to find image).*sha256:[0-9a-f]{64}",
    re.IGNORECASE | re.DOTALL,
)
LINE = re.compile(r"parse error (?:on )?line (\d+)", re.IGNORECASE)
BUILDKIT = re.compile(  # the classic builder's words for BuildKit's options, and for arguments that BuildKit sets
    r"requires? BuildKit|unknown flag|failed to parse platform", re.IGNORECASE
)
HEREDOC = re.compile(r"^\s*(?:RUN|COPY|ADD)\s.*<<-?\s*[\"']?\w.*", re.IGNORECASE | re.MULTILINE)
UNKNOWN = re.compile(r"unknown instruction", re.IGNORECASE)  # what it says of a here-document's text
PULLED = re.compile(r"Step \d+/\d+ : FROM\b", re.IGNORECASE)
NOT_PULLED = (
    "this image can't be pulled: correct its name, or the way to its registry, and run the same command again;\n"
    "or begin the Dockerfile with `ARG BASE` and `FROM ${BASE}`, for an image that can be built on this machine too"
)
CLASSIC = (
    "this needs BuildKit, and `docker buildx` is not on this machine: install it (apt-get install docker-buildx on\n"
    "Debian 13, docker-buildx-plugin from Docker's own repository) and run the same command again, or write the line\n"
    "without what the classic builder lacks"
)


@dataclass(frozen=True)
class BuildSource:
    """What is sent to be built: the context, a tar, the path of the Dockerfile in it, and what the image is to have."""

    context: bytes
    dockerfile: str
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""

    @property
    def text(self) -> str:
        """The Dockerfile; empty where the context has none."""
        try:
            with tarfile.open(fileobj=io.BytesIO(self.context)) as archive:
                file = archive.extractfile(self.dockerfile)
                return file.read().decode(errors="replace") if file else ""
        except (tarfile.TarError, KeyError):
            return ""


def build_problem(details: str, step: str, source: BuildSource) -> Problem:
    """The error of a failed build. `step` is the one that it came to, as Docker says it: `Step 2/3 : RUN x`.

    ImageVanished where an image of the build cache was removed meanwhile, BuildKitNeeded where BuildKit might build it.
    """
    if VANISHED.search(details):
        return ImageVanished("the image could not be built", details=details)
    text = source.text
    heredoc = HEREDOC.search(text) if UNKNOWN.search(details) else None
    lines = [heredoc[0].strip() if heredoc else "", _line(details, text) or step, details]
    said = "\n".join(filter(None, lines))
    if heredoc or BUILDKIT.search(details):
        return BuildKitNeeded("the image could not be built", details=said, hint=CLASSIC)
    hint = NOT_PULLED if PULLED.match(step) else "fix the Dockerfile and run the same command again"
    return Problem("the image could not be built", details=said, hint=hint)


def _line(details: str, text: str) -> str:
    """The line of the Dockerfile that a message is about; empty if it names none."""
    found, lines = LINE.search(details), text.split("\n")
    if not found or not 0 < int(found[1]) <= len(lines):
        return ""
    return f"line {found[1]}: {lines[int(found[1]) - 1].strip()}"
