"""What a user reads when Docker can't build an image, from the words of Docker's classic builder."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import APIError
from requests import Response

from slipway.docker.build_errors import CLASSIC, NOT_PULLED, BuildSource
from slipway.docker.streams import built_image
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem

REFER = "Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled"
FIX = "fix the Dockerfile and run the same command again"


def source(dockerfile: str) -> BuildSource:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        entry = tarfile.TarInfo("docker/App")
        entry.size = len(dockerfile)
        out.addfile(entry, io.BytesIO(dockerfile.encode()))
    return BuildSource(buffer.getvalue(), "docker/App")


def none(image: str, steps: int) -> str:
    raise AssertionError(f"nobody asks what is {steps} before {image}")


def refused(words: str) -> Iterator[dict[str, Any]]:
    """The answer to a Dockerfile that can't be parsed."""
    response = Response()
    response.status_code = 400
    raise APIError(f"400 Client Error: {words}", response, words)
    yield {}


@pytest.mark.parametrize(
    ("dockerfile", "steps", "words", "line", "hint"),
    [
        ("FROM x\nRUN --mount=type=cache,target=/m lein\n", ["Step 1/2 : FROM x", "Step 2/2 : RUN --mount=type=cache,target=/m lein"],
         f"the --mount option requires BuildKit. {REFER}", "RUN --mount=type=cache,target=/m lein", CLASSIC),
        ("FROM x\nCOPY --chmod=755 a b\n", ["Step 2/2 : COPY --chmod=755 a b"], f"the --chmod option requires BuildKit. {REFER}", "COPY --chmod=755 a b", CLASSIC),
        ("FROM x\nCOPY --link a b\n", [], "dockerfile parse error on line 2: Unknown flag: link", "line 2: COPY --link a b", CLASSIC),
        ("# syntax=docker/dockerfile:1\nFROM x\nRUN <<EOF\necho hi\nEOF\n", [], "dockerfile parse error line 4: unknown instruction: ECHO", "RUN <<EOF\nline 4: echo hi", CLASSIC),
        ("FROM --platform=$BUILDPLATFORM x\n", [], 'failed to parse platform : "" is an invalid component of ""', "", CLASSIC),
        ("FROM x\nRNU a <<EOF\n", [], "dockerfile parse error on line 2: unknown instruction: RNU", "line 2: RNU a <<EOF", FIX),
        ("FROM x\nRUN false\n", ["Step 1/2 : FROM x", "Step 2/2 : RUN false"], "The command '/bin/sh -c false' returned a non-zero code: 1", "Step 2/2 : RUN false", FIX),
        ("FROM x\n", [], "dockerfile parse error on line 9: what", "", FIX),
        ("FROM x:1\n", ["Step 1/1 : FROM x:1"], 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host', "FROM x:1", NOT_PULLED),
    ],
    ids=["mount", "chmod", "link", "heredoc", "platform", "typo", "failed", "no such line", "not pulled"],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [True, False])
def test_a_failed_build_shows_its_line_and_says_whose_syntax_it_is(
    dockerfile: str, steps: list[str], words: str, line: str, hint: str, *, streamed: bool
) -> None:
    messages = [*({"stream": text} for text in steps), {"error": words}]
    stream = iter(messages) if streamed or steps else refused(words)
    with pytest.raises(Problem, match="the image could not be built") as caught:
        built_image(stream, source(dockerfile), null_reporter(), none)
    assert (line in caught.value.details, words in caught.value.details) == (True, True)
    assert caught.value.hint == hint


def test_a_build_of_no_dockerfile_fails_in_dockers_words() -> None:
    with pytest.raises(Problem) as caught:
        built_image(refused("Cannot locate specified Dockerfile: x"), BuildSource(b"", "x"), null_reporter(), none)
    assert caught.value.details == "Cannot locate specified Dockerfile: x"
