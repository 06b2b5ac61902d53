"""Base images: a pinned upstream reference where it can be pulled, else one made here by jlink and the C library."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from slipway.config.models import Base, Jlink
from slipway.errors import ExitCode, Problem
from slipway.hosts.docker import Daemon, State
from slipway.hosts.facts import Facts, Jdk, libraries
from slipway.hosts.host import Command, Host
from slipway.steps import Say, silent

JAVA = "/opt/java"


def identity(base: Base) -> str:
    """What a base is made from, as a digest that is the same on every machine: its entry in images.yaml."""
    canonical = json.dumps(base.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def tag(name: str, base: Base) -> str:
    """The name under which a base is kept, wherever it came from."""
    return f"slipway/base-{name}:{identity(base)}"


def present(state: State, name: str, base: Base) -> bool:
    """Whether the daemon has the base."""
    return state.tagged(tag(name, base)) is not None


def provide(host: Host, daemon: Daemon, facts: Facts, kit: Jdk | None, name: str, base: Base, say: Say) -> str:
    """Get the base from the first source that works, say which, and give its image the base's tag. Its id."""
    tried: list[str] = []
    if base.upstream:
        try:
            image = daemon.pull(base.upstream, say)
        except Problem as problem:
            tried.append(f"{base.upstream}: {problem.why or problem.what}")
            say.note(f"{base.upstream} can't be had here ({_first(problem.why)})")
        else:
            daemon.tag(image, tag(name, base))
            say.note(f"base {name} is {base.upstream}")
            return image
    if base.recipe and facts.kernel == "Linux" and kit:
        image = _jlink(host, daemon, kit, base.recipe, tag(name, base), say)
        say.note(f"base {name} is made here: jlink of {kit.home} ({kit.version}) and the C library")
        return image
    if base.recipe:
        tried.append("recipe: it needs Linux and a JDK with jlink")
    fix = "docker login, or a mirror in Docker's settings; or a recipe in config/images.yaml"
    raise Problem(f"base image {name} can't be had", why="\n".join(tried), fix=fix, code=ExitCode.UNREACHABLE)


def _first(text: str) -> str:
    return text.strip().splitlines()[0][:160] if text.strip() else "no answer"


def link(kit: Jdk, modules: Sequence[str], out: str) -> Command:
    """The jlink command of a recipe."""
    return Command(
        (
            f"{kit.home}/bin/jlink",
            "--add-modules",
            ",".join(modules),
            "--strip-java-debug-attributes",
            "--no-header-files",
            "--no-man-pages",
            "--output",
            out,
        ),
        timeout=300,
    )


def _jlink(host: Host, daemon: Daemon, kit: Jdk, recipe: Jlink, name: str, say: Say) -> str:
    with tempfile.TemporaryDirectory(prefix="slipway-base-") as folder:
        out = Path(folder) / "java"
        host.run(link(kit, recipe.modules, str(out)), say).checked("jlink failed", "./invoke setup")
        archive = Command((str(out / "bin/java"), "-Xshare:dump", "-XX:+UseSerialGC"), timeout=120)
        host.run(archive, say).checked("the JDK's class archive could not be made")
        parts = [str(out / "bin/java"), *(str(p) for p in sorted(out.rglob("*.so")))]
        needed = libraries(host.run(Command(("ldd", *parts)), silent(say.cancel)).text)
        needed = [path for path in needed if not path.startswith(str(out))]
        return daemon.load_root(_root(out, needed), name, _config())


def _config() -> list[str]:
    return [f"ENV PATH={JAVA}/bin", f"ENV JAVA_HOME={JAVA}", "ENV LANG=C.UTF-8", "USER 10001:10001"]


def _root(java: Path, libs: Sequence[str]) -> bytes:
    """A root file system as a tar: the Java runtime, the libraries it is linked to, and one unprivileged user."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(java.rglob("*")):
            _add(archive, path, JAVA + "/" + path.relative_to(java).as_posix())
        for library in libs:
            _add(archive, Path(library), library)
        for name, text in {
            "etc/passwd": "app:x:10001:10001::/tmp:/none\n",
            "etc/group": "app:x:10001:\n",
            "etc/nsswitch.conf": "hosts: files dns\n",
        }.items():
            entry = _entry(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        for folder, mode in {"tmp": 0o1777, "app": 0o755}.items():
            entry = _entry(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
    return buffer.getvalue()


def _entry(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mode = 0o644
    return entry


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    entry = _entry(name)
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
        return
    content = path.read_bytes()  # through links: a Debian JDK's cacerts is one
    entry.size = len(content)
    entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    archive.addfile(entry, io.BytesIO(content))
