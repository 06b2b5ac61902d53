"""`build` in service.yaml: Leiningen, none, or a builder of the team's own (Maven, tools.build, a script)."""

from __future__ import annotations

import posixpath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from slipway.config import shell_words
from slipway.config.fields import Model


def _words(value: Any) -> Any:
    """A command line as the words that a shell makes of it; a list of words as it is."""
    if not isinstance(value, str):
        return value
    words = shell_words.split(value)
    for variable, name in (part for word in words for part in word):
        if variable:
            raise ValueError(f"${name} needs a shell, and none is run; write `[sh, -c, '…']` if one is meant")
    return ["".join(text for _, text in word) for word in words]


def _command(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words[0]:
        raise ValueError("its first word, the program, is empty")
    if any("\0" in word for word in words):
        raise ValueError("a command can't have a NUL character")
    return words


def _inside(value: str) -> str:
    path = posixpath.normpath(value)
    if not value or f"{path}/".startswith(("/", "../", "~")) or "\0" in value:
        raise ValueError(f"'{value}' must be a path in the service's own folder; `sources` is for others")
    return path


PathInside = Annotated[str, AfterValidator(_inside)]


class Builder(Model):
    """What is run in the service's folder, the jar that it makes, and the paths that it makes it from.

    Without `inputs` that is everything in the folder that Git does not ignore, but not the folder of the jar.
    """

    run: Annotated[
        tuple[str, ...],
        Field(min_length=1, examples=["[mvn, -q, package]"]),
        BeforeValidator(_words),
        AfterValidator(_command),
    ]
    jar: PathInside
    inputs: tuple[PathInside, ...] = Field(default=(), examples=["[pom.xml, src]"])

    @model_validator(mode="after")
    def _jar_apart(self) -> Self:
        if not self.jar.endswith(".jar"):
            raise ValueError(f"jar: the name of '{self.jar}' must end with .jar")
        if not posixpath.dirname(self.jar):
            raise ValueError(f"jar: '{self.jar}' must be in a folder that the build writes, such as target/app.jar")
        if any(f"{self.output}/".startswith(f"{one}/") for one in self.inputs):
            raise ValueError(f"jar: {self.jar} is in one of its own inputs")
        if written := [one for one in self.inputs if f"{one}/".startswith(f"{self.output}/")]:
            raise ValueError(f"inputs: {written[0]} is in the folder of the jar, which the build writes")
        return self

    @property
    def output(self) -> str:
        """The folder of the jar, which the build writes."""
        return posixpath.dirname(self.jar)


def _kind(value: Any) -> str:
    return "[builder]" if isinstance(value, dict | Builder) else "[name]"


Build = Annotated[
    Annotated[Literal["lein", "none"], Tag("[name]")] | Annotated[Builder, Tag("[builder]")],
    Discriminator(_kind),
]
