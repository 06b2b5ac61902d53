"""Builds by BuildKit through Docker's own program, since docker-py has only the classic builder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.docker.build_errors import UNKNOWN, BuildSource
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts.host import Command
from slipway.hosts.local import LocalHost

OTHER_DAEMON = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
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


def build(socket: str, source: BuildSource, report: Reporter) -> tuple[str, list[str]]:
    """Build an image from a tar with the BuildKit of the daemon at `socket`: its id, and what its stages begin with.

    Raises Problem with BuildKit's own words where the build fails.
    """
    with TemporaryDirectory(prefix="slipway-build-") as folder:
        about = Path(folder) / "metadata.json"
        result = LocalHost().run(build_command(socket, source, about), report)
        said = result.stderr.decode(errors="replace")
        if result.exit_code or not about.is_file():
            raise build_failure(said)
        image = str(json.loads(about.read_text())["containerimage.digest"])
    return image, starts(said)


def build_command(socket: str, source: BuildSource, about: Path) -> Command:
    """The command that builds an image from a tar, and writes about it to a file.

    It uses the daemon's own builder, which has the daemon's images, whatever the user's Docker is set to.
    """
    docker = ("docker", f"--host=unix://{socket}", "buildx", "build", "--builder=default", "--load")
    given = [f"--build-arg={name}={value}" for name, value in source.args.items()]
    given += [f"--label={name}={value}" for name, value in source.labels.items()]
    given += [f"--platform={source.platform}"] if source.platform else []
    output = ("--provenance=false", "--progress=plain", f"--metadata-file={about}")
    argv = (*docker, *output, f"--file={source.dockerfile}", *given, "-")
    return Command(argv, stdin=source.context, unset=OTHER_DAEMON, timeout=60 * BUILD_MINUTES)


def starts(said: str) -> list[str]:
    """The images that the stages of a build begin with, from its output."""
    return list(dict.fromkeys(FROM.findall(said)))


def build_failure(said: str) -> Problem:
    """The error of a failed build, from its output."""
    failure = FAILURE.search(said)
    hint = "fix the Dockerfile and run the same command again"
    if said.startswith("unknown flag"):
        hint = "this docker buildx is too old: upgrade it to 0.10 or newer, and run the same command again"
    elif UNKNOWN.search(said):
        hint = (
            "this Docker is too old for what the Dockerfile uses: upgrade it, or begin the Dockerfile with\n"
            "`# syntax=docker/dockerfile:1`, which fetches a newer reader of Dockerfiles from Docker Hub"
        )
    details = said[failure.start() :] if failure else said
    return Problem("the image could not be built", details=details.strip(), hint=hint)
