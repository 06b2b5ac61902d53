"""Builds by BuildKit: the command, and what is read of docker buildx's output (0.13, plain progress)."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.docker.build_errors import BuildSource
from slipway.docker.buildx import OTHER_DAEMON, build_command, build_failure, starts

BUILT = """#0 building with "default" instance using docker driver

#1 [internal] load remote build context
#1 DONE 0.1s

#2 copy /context /
#2 DONE 0.5s

#3 [internal] load metadata for docker.io/team/base:1
#3 DONE 0.0s

#4 [one 1/2] FROM docker.io/team/base:1
#4 CACHED

#5 [linux/amd64 stage-1 1/3] FROM registry.example:5000/jre:17@sha256:{digest}
#5 DONE 0.0s

#6 [stage-1 2/3] COPY --chmod=640 FROM /b
#6 DONE 0.1s

#7 [one 1/2] FROM docker.io/team/base:1
#7 DONE 0.0s

#8 [stage-1 3/3] RUN echo '[x] FROM nothing'
#8 0.221 #9 [x] FROM nothing
#8 DONE 0.7s
""".replace("{digest}", "a" * 64)
RUN_FAILED = """#7 [stage-0 4/4] RUN --mount=type=cache,target=/x nosuch
#7 0.512 /bin/sh: 1: nosuch: not found
#7 ERROR: executor failed running [/bin/sh -c nosuch]: exit code: 127
------
 > [stage-0 4/4] RUN --mount=type=cache,target=/x nosuch:
/bin/sh: 1: nosuch: not found
------
ERROR: failed to solve: executor failed running [/bin/sh -c nosuch]: exit code: 127
"""
TOO_OLD = "ERROR: failed to solve: dockerfile parse error line 5: unknown instruction: HALLO\n"
OLD_PLUGIN = "unknown flag: --provenance\nSee 'docker buildx build --help'.\n"


def test_the_images_that_stages_begin_with_are_read_of_the_output() -> None:
    assert starts(BUILT) == ["docker.io/team/base:1", f"registry.example:5000/jre:17@sha256:{'a' * 64}"]


@pytest.mark.parametrize(
    ("said", "details", "hint"),
    [
        (RUN_FAILED, RUN_FAILED[RUN_FAILED.index("------") :].strip(), "fix the Dockerfile"),
        (f"#1 DONE 0.1s\n{TOO_OLD}", TOO_OLD.strip(), "this Docker is too old"),
        (OLD_PLUGIN, OLD_PLUGIN.strip(), "this docker buildx is too old"),
        ("", "", "fix the Dockerfile"),
    ],
    ids=["a step", "an old daemon", "an old plugin", "nothing"],
)
def test_a_failed_build_is_told_in_buildkits_words_with_what_to_do(said: str, details: str, hint: str) -> None:
    problem = build_failure(said)
    assert problem.details == details
    assert problem.hint.startswith(hint)


def test_the_command_builds_with_the_daemon_of_a_socket_whatever_the_users_docker_is_set_to() -> None:
    source = BuildSource(b"tar", "docker/App", {"BASE": "b:1"}, {"slipway.project": "shop"}, "linux/amd64")
    command = build_command("/run/d.sock", source, Path("/t/m.json"))
    assert command.line == (
        "docker --host=unix:///run/d.sock buildx build --builder=default --load --provenance=false --progress=plain"
        " --metadata-file=/t/m.json --file=docker/App --build-arg=BASE=b:1 --label=slipway.project=shop"
        " --platform=linux/amd64 -"
    )
    assert (command.stdin, command.unset) == (b"tar", OTHER_DAEMON)
