"""What Leiningen makes of a project and from what, as it says itself while it builds; kept until project.clj changes.

What is kept is a cache, and no digest is wrong without it. What Leiningen reads outside the folder is in the digest of
everything that was built. So a clone that does not know of it finds nothing built, asks by building, and then knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

QUESTION = Path(__file__).with_suffix(".clj")
RECORD = ".lein-slipway.json"  # in the project, beside its lock
FILES = ("project.clj", "profiles.clj")
CHECKOUTS = "checkouts"  # projects that Leiningen puts on the class path (leiningen.core.project/read-checkouts)


@dataclass(frozen=True)
class Project:
    """Paths relative to the project's folder: the uberjar, what is read outside of it, and what is written inside."""

    jar: str
    inputs: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()


def asking(answer: Path) -> tuple[str, ...]:
    """Leiningen's words that write its answer to a file, in front of the task that follows (`lein help do`)."""
    return ("do", "update-in", ":", f"#=(load-file {json.dumps(str(QUESTION))})", json.dumps(str(answer)), "--", "do,")


def account_beside(answer: Path) -> Path:
    """Where Leiningen writes how it built, beside its answer (`leiningen_recipe.py` reads it)."""
    return answer.with_name(f"{answer.name}.recipe")


def read_answer(answer: Path, folder: Path) -> Project | None:
    """Leiningen's answer; None if it gave none, or not all of it."""
    root = folder.resolve()
    paths: dict[str, dict[str, None]] = {"jar": {}, "input": {}, "generated": {}}
    try:
        for kind, _, path in (line.partition(" ") for line in answer.read_text(encoding="utf-8").splitlines()):
            paths[kind][Path(os.path.relpath(json.loads(path), root)).as_posix()] = None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not paths["jar"]:
        return None
    inputs = sorted(path for path in paths["input"] if _outside(path))
    jar = next(iter(paths["jar"]))
    written = {*paths["generated"], Path(jar).parent.as_posix()}  # whose `%s` are the names of other profiles
    generated = sorted(path for path in written if not _outside(path) and path != ".")
    return Project(jar, _topmost(inputs), _topmost(generated))


def record(folder: Path, project: Project) -> None:
    """Keep the answer for the project.clj as it stands, if there is room for it."""
    temporary = folder / f"{RECORD}.new"
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps({"files": _key(folder), **asdict(project)}, indent=1) + "\n", encoding="utf-8")
        temporary.replace(folder / RECORD)


def recorded(folder: Path) -> Project | None:
    """The answer that was kept; None where there is none for the project.clj as it stands."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if kept["files"] == _key(folder):
            return Project(str(kept["jar"]), tuple(map(str, kept["inputs"])), tuple(map(str, kept["generated"])))
    return None


def checkouts(folder: Path) -> list[Path]:
    """The projects in `checkouts`, which most people have Git ignore, as in Leiningen's own template."""
    return [path.parent for path in sorted((folder / CHECKOUTS).glob("*/project.clj"))]


def inputs(folder: Path, project: Project | None, declared: Sequence[Path]) -> list[Path]:
    """What is read outside the folder besides the declared, as Leiningen named it."""
    known = [Path(os.path.normpath(folder / path)) for path in (project.inputs if project else ())]
    others = [other.resolve() for other in declared] if known else []
    return [path for path in known if not any(path.resolve().is_relative_to(other) for other in others)]


def _key(folder: Path) -> str:
    hashed = hashlib.sha256()
    for path in (folder / name for name in FILES):
        hashed.update(path.read_bytes() if path.is_file() else b"")
        hashed.update(b"\0")
    return hashed.hexdigest()


def _outside(path: str) -> bool:
    return path.startswith("../") or path == ".."


def _topmost(paths: Sequence[str]) -> tuple[str, ...]:
    """Sorted paths without those below another one."""
    found: list[str] = []
    for path in paths:
        if not any(Path(path).is_relative_to(other) for other in found):
            found.append(path)
    return tuple(found)
