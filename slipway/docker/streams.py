"""The answers that a Docker daemon streams: the messages of a build, a pull, a push or a load."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from docker.errors import APIError

from slipway.docker.build_errors import BuildSource, build_problem
from slipway.docker.state import BuiltImage
from slipway.engine.reporter import Reporter
from slipway.errors import Problem

FROM = re.compile(r"Step \d+/\d+ : FROM\b.*", re.IGNORECASE | re.DOTALL)
TRIGGERS = re.compile(r"# Executing (\d+) build triggers?")  # of the base's ONBUILD, before the result of FROM
RESULT = re.compile(r"--->(?: ([0-9a-f]{12}))?")  # of a step: the id of its image, or nothing of `FROM scratch`


def built_image(
    stream: Iterator[dict[str, Any]], source: BuildSource, report: Reporter, ancestor: Callable[[str, int], str]
) -> BuiltImage:
    """The image that a build ends with; its output is reported as it comes.

    What a stage is based on is what Docker says behind its FROM, whatever arguments and flags that has. Where that is
    the result of ONBUILD's instructions, `ancestor` knows the image so many steps before it.

    Raises ImageVanished where an image of the build cache was removed meanwhile, Problem where the build failed.
    """
    built, base, begins, step, triggers = BuiltImage("", ""), "", False, "", 0
    instructions: list[str] = []
    stages: dict[str, str] = {}  # what each stage is based on, by the id of its image
    for message in _until_refused(stream, source):
        report.cancel.check()
        if "error" in message:
            raise build_problem(str(message["error"]), step, source)
        image = _read_message(message, report)
        text = str(message.get("stream", "")).strip()
        if text.startswith("Step "):
            step = text
            instructions.append(text.partition(" : ")[2])
        if image:
            built = BuiltImage(image, base)
            stages[_short(image)] = base
        elif begins and (executed := TRIGGERS.match(text)):
            triggers = int(executed[1])
            instructions.append("ONBUILD")
        elif begins and (result := RESULT.fullmatch(text)):
            image = result[1] or ""
            start = _short(ancestor(image, triggers)) if triggers else image
            base, begins, triggers = stages.get(start, start), False, 0
        elif FROM.fullmatch(text):
            begins = True  # until its result
    report.cancel.check()
    if not built.id:
        raise Problem("Docker built no image and gave no reason", hint="docker version; then try again")
    return replace(built, instructions=tuple(instructions))


def _short(image: str) -> str:
    """An image's id as a build's output has it."""
    return image.removeprefix("sha256:")[:12]


def _until_refused(stream: Iterator[dict[str, Any]], source: BuildSource) -> Iterator[dict[str, Any]]:
    try:
        yield from stream
    except APIError as error:  # of a Dockerfile that can't be parsed, before the first step
        raise build_problem(str(error.explanation or error), "", source) from error


def _read_message(message: dict[str, Any], report: Reporter) -> str:
    """The image's id if the message has it."""
    text = str(message.get("stream", "")).strip()
    if text:
        report.output("stdout", text)
    if text.startswith("Step ") and "/" in text:
        done, _, total = text.split()[1].partition("/")
        if done.isdigit() and total.isdigit():
            report.progress(int(done), int(total), "steps")
    return str((message.get("aux") or {}).get("ID", ""))


def transferred(stream: Iterator[dict[str, Any]], report: Reporter) -> Iterator[dict[str, Any]]:
    """The messages of a pull or push; progress is reported in bytes over all layers. Raises APIError for a failure."""
    layers: dict[str, tuple[int, int]] = {}
    for message in stream:
        report.cancel.check()
        if "error" in message:
            raise APIError(str(message["error"]))
        detail = message.get("progressDetail") or {}
        if detail.get("total"):
            current, whole = detail.get("current", 0), detail["total"]
            layers[message["id"]] = (min(current, whole), whole)  # a push counts its archive's headers too
            done, total = (sum(column) for column in zip(*layers.values(), strict=True))
            report.progress(done, total, "bytes")
        yield message


def loaded_text(stream: Iterator[Any], report: Reporter) -> str:
    """The text of a load, which names the image. Raises APIError for a failure."""
    text = []
    for message in stream:
        report.cancel.check()
        if isinstance(message, dict) and "error" in message:
            raise APIError(str(message["error"]))
        if isinstance(message, dict):
            text.append(str(message.get("stream", "")))
    return "".join(text)
