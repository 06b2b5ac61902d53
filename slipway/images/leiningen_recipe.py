"""How Leiningen compiled and packed a project the last time, and whether it would do it in the same way now.

What is kept is Leiningen's own account of a build (`leiningen_recipe.clj`): the program that it ran, with its code and
variables, and what it put into its jars. It counts as long as all that Leiningen read is the same: the digest of that
is its key. Where the account says that something is not plainly understood, nothing is kept, and Leiningen builds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATTERNS = ("jar-exclusions", "jar-inclusions", "uberjar-exclusions", "merged")
# Options that make the JVM read what is not in its class path; what `java` would take for other words of a command.
UNCLEAR_OPTIONS = (
    "-javaagent",
    "-agent",
    "-Xbootclasspath",
    "-Djava.library.path",
    "--patch-module",
    "@",
    "-cp",
    "-jar",
)
# Variables about a terminal or a login session, not about a build; TRAMPOLINE_FILE is another one each time.
OF_A_SESSION = frozenset(
    [
        "_",
        "SHLVL",
        "PWD",
        "OLDPWD",
        "TERM",
        "COLUMNS",
        "LINES",
        "WINDOWID",
        "SSH_CLIENT",
        "SSH_CONNECTION",
        "SSH_TTY",
        "SSH_AUTH_SOCK",
        "GPG_TTY",
        "TMUX",
        "TMUX_PANE",
        "TERM_SESSION_ID",
        "XDG_SESSION_ID",
        "TRAMPOLINE_FILE",
    ]
)
SETTINGS = (
    "project.clj",
    "profiles.clj",
    ".lein-classpath",
    ".leinrc",
    ".java-version",
    ".git/config",
    ".git/packed-refs",
)

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Recipe:
    """The lines of Leiningen's account, each a kind and a value, in their order."""

    lines: Lines

    def all(self, kind: str) -> tuple[str, ...]:
        """The values of a kind."""
        return tuple(value for one, value in self.lines if one == kind)

    def only(self, kind: str) -> str:
        """The value of a kind that there is one of. Raises ValueError."""
        [value] = self.all(kind)
        return value

    def contents(self, kind: str) -> Iterator[tuple[str, str]]:
        """The paths of a kind, each with its content in base64."""
        for (one, value), (_, content) in zip(self.lines, self.lines[1:], strict=False):
            if one == kind:
                yield value, content

    @property
    def class_path(self) -> tuple[str, ...]:
        """What the compiler's class path has, in its order."""
        return tuple(self.all("word")[2].split(os.pathsep))


def read_account(path: Path) -> Recipe | None:
    """Leiningen's account of a build; None if it is not plainly understood."""
    try:
        lines = (line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines())
        recipe = Recipe(tuple((kind, str(json.loads(value))) for kind, _, value in lines))
        return recipe if _is_clear(recipe) else None
    except (OSError, ValueError, IndexError):
        return None


def _is_clear(recipe: Recipe) -> bool:
    """Whether Leiningen ran one program, which compiled, and packed one jar. Raises ValueError or IndexError if not."""
    for kind in ("run", "root", "classes", "manifest", "thin"):
        recipe.only(kind)
    _, class_path, _, *options, main, init = recipe.all("word")
    return (
        not recipe.all("unclear")
        and (class_path, main, init) == ("-classpath", "clojure.main", "-i")
        and not any(option.startswith(UNCLEAR_OPTIONS) for option in options)
        and recipe.only("classes") in recipe.class_path
        and recipe.only("classes") in recipe.all("tree")
        and all(path.startswith("META-INF/maven/") for path, _ in recipe.contents("seed"))
        and bool(recipe.all("dependency"))
    )


def key(recipe: Recipe, given: Sequence[str], environment: Mapping[str, str]) -> str:
    """The digest of all that Leiningen read for this recipe, as it stands. `given` are the words that it was run with.

    Raises OSError where something of that is gone, and ValueError where it has code that may say something else now.
    """
    root = Path(recipe.only("root"))
    hashed = hashlib.sha256(json.dumps([recipe.lines, given, sorted(_kept(environment).items())]).encode())
    for path in _settings(root, environment):
        content = path.read_bytes() if path.is_file() else None
        if content and b"~" in content and path.name != "project.clj" and path.suffix == ".clj":
            raise ValueError(f"{path} has code")
        hashed.update(repr((str(path), path.exists(), content)).encode())
    folders = {recipe.only("classes"), *map(str, own_folders(recipe))}
    read = (path for path in (*recipe.class_path, *recipe.all("dependency")) if path not in folders)
    for path in map(Path, (*read, *recipe.all("tool"), recipe.all("word")[0])):
        if path.suffix == ".jar" or path.exists():
            found = path.stat()
            hashed.update(repr((str(path.resolve()), found.st_size, found.st_mtime_ns)).encode())
    return hashed.hexdigest()


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in OF_A_SESSION}


def _settings(root: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """The files that Leiningen reads, beside jars and sources, whether they are there or not."""
    yield from (root / name for name in SETTINGS)
    git = root / ".git"
    if git.is_file():
        raise ValueError("a worktree's HEAD is elsewhere")
    if git.is_dir():
        head = git / "HEAD"
        yield head
        with contextlib.suppress(OSError):
            yield git / head.read_text().strip().removeprefix("ref: ")
    yield root / "checkouts"
    yield from sorted(path for path in root.iterdir() if path.name.lower().startswith(("readme", "license")))
    home = _home(environment)
    for folder in (home, Path("/etc/leiningen")):
        yield folder / "profiles.clj"
        yield from sorted(folder.glob("profiles.d/*"))
    yield from (home / "init.clj", *shell_settings(environment))


def shell_settings(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """What the `lein` script sources, whether it is there or not."""
    return _home(environment) / "leinrc", Path("/etc/leinrc")


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("LEIN_HOME") or Path.home() / ".lein")


def own_folders(recipe: Recipe) -> list[Path]:
    """The folders of the class path: the project's sources and resources, and not what is compiled."""
    classes = recipe.only("classes")
    return [path for path in map(Path, recipe.class_path) if str(path) != classes and path.is_dir()]


def beside_namespaces(recipe: Recipe) -> str:
    """The digest of what others' code may find in the project: its folders and all files that are no namespaces of it.

    A compiler that has run others' code is of use only while that is the same. What is at the top of a folder counts:
    Clojure reads user.clj and data_readers.clj there when it starts, and others look for their settings.
    """
    hashed = hashlib.sha256()
    for top in own_folders(recipe):
        hashed.update(f"{top}\n".encode())
        for path in sorted(_files(top, set())):
            if path.parent == top or path.suffix not in {".clj", ".cljc"}:
                found = path.stat() if path.exists() else path.lstat()
                hashed.update(repr((str(path), found.st_size, found.st_mtime_ns, found.st_ino)).encode())
    return hashed.hexdigest()


def _files(folder: Path, above: set[Path]) -> Iterator[Path]:
    """All files below a folder; a link to a folder that it is in itself leads to none."""
    resolved = folder.resolve()
    if resolved in above:
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files(path, above | {resolved})
        else:
            yield path


def edn(value: str) -> str:
    """A string as Clojure reads it: JSON's are such strings."""
    return json.dumps(value, ensure_ascii=False)


def vector(values: Iterable[str]) -> str:
    """A vector of what is written already."""
    return f"[{' '.join(values)}]"


def packing(recipe: Recipe, classes: Path) -> str:
    """What the compiler's `pack` reads: the recipe's jar, with the classes from this folder."""
    compiled = recipe.only("classes")
    specs: list[str] = []
    contents = iter(recipe.contents("entry"))
    for kind, value in recipe.lines:
        if kind == "entry":
            path, content = next(contents)
            specs.append(vector((":entry", edn(path), edn(content))))
        elif kind == "tree":
            specs.append(vector((":tree", edn(str(classes) if value == compiled else value))))
    patterns = " ".join(f":{name} {vector(map(edn, recipe.all(name)))}" for name in PATTERNS)
    return f"{{:manifest {edn(recipe.only('manifest'))} :specs {vector(specs)} {patterns}}}\n"
