"""Builds by BuildKit through Docker's own program, since docker-py has only the classic builder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.docker.build_errors import UNKNOWN
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts.host import Command
from slipway.hosts.local import LocalHost

BUILD_MINUTES = 60  # that a build may take
FROM = re.compile(r"^#\d+ \[[^\]]+\] FROM (\S+)", re.MULTILINE)  # BuildKit's line about what a stage begins with
FAILURE = re.compile(r"^(?:------|ERROR:)", re.MULTILINE)  # where it begins to say what failed, and in which line


def available(report: Reporter) -> bool:
    """Whether `docker buildx` is on this machine."""
    try:
        asked = LocalHost().run(Command(("docker", "buildx", "version"), timeout=20), null_reporter(report.cancel))
    except Problem:
        report.cancel.check()
        return False
    return asked.exit_code == 0


def build(
    socket: str,
    context: bytes,
    dockerfile: str,
    args: Mapping[str, str],
    labels: Mapping[str, str],
    platform: str,
    report: Reporter,
) -> tuple[str, list[str]]:
    """Build an image from a tar with the BuildKit of the daemon at `socket`: its id, and what its stages begin with.

    Raises Problem with BuildKit's own words where the build fails.
    """
    given = [f"--build-arg={name}={value}" for name, value in args.items()]
    given += [f"--label={name}={value}" for name, value in labels.items()]
    given += [f"--platform={platform}"] if platform else []
    with TemporaryDirectory(prefix="slipway-build-") as folder:
        about = Path(folder) / "metadata.json"
        # the daemon's own builder, which has its images, whatever builder is the user's default
        argv = (
            "docker",
            f"--host=unix://{socket}",
            "buildx",
            "build",
            "--builder=default",
            "--load",
            "--provenance=false",
        )
        rest = ("--progress=plain", f"--file={dockerfile}", f"--metadata-file={about}", *given, "-")
        result = LocalHost().run(Command((*argv, *rest), stdin=context, timeout=60 * BUILD_MINUTES), report)
        said = result.stderr.decode(errors="replace")
        if result.exit_code or not about.is_file():
            raise _problem(said)
        image = str(json.loads(about.read_text())["containerimage.digest"])
    return image, list(dict.fromkeys(FROM.findall(said)))


def _problem(said: str) -> Problem:
    failure = FAILURE.search(said)
    hint = "fix the Dockerfile and run the same command again"
    if UNKNOWN.search(said):
        hint = (
            "this Docker is too old for what the Dockerfile uses: upgrade it, or begin the Dockerfile with\n"
            "`# syntax=docker/dockerfile:1`, which fetches a newer reader of Dockerfiles from Docker Hub"
        )
    details = said[failure.start() :] if failure else said
    return Problem("the image could not be built", details=details.strip(), hint=hint)
