"""Where base images come from: a registry, or a recipe that builds them on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from slipway.config.versions import Base, Debian, Jlink
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ConnectionLost, Problem, Unreachable
from slipway.hosts.facts import Facts, Jdk, libraries
from slipway.hosts.host import Command, Host
from slipway.images import debian_packages as debian
from slipway.images.base_images import tag
from slipway.images.rootfs import UID, RootFs

JAVA = "/opt/java"
LOCALES = Path("/usr/lib/locale")
# What a library in a jar may be linked to, and java is not: a C library before glibc 2.34 had its parts in files of
# their own, which later ones still have for programs that name them; and what C++ needs.
NATIVE = (
    *("libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2", "libanl.so.1"),
    *("libnss_files.so.2", "libnss_dns.so.2", "libstdc++.so.6"),
)
COMMON = ("ENV LANG=C.UTF-8", f"USER {UID}:{UID}")


def provide(host: Host, daemon: Daemon, facts: Facts, kit: Jdk | None, name: str, base: Base, report: Reporter) -> str:
    """Get the base from the first source that works, and tag it; the image's id. Raises Unreachable where none does.

    ConnectionLost where Docker itself stopped answering.
    """
    tried: list[str] = []
    if base.upstream:
        try:
            image = daemon.transfers.pull(base.upstream, report)
        except ConnectionLost:
            raise
        except Problem as problem:
            tried.append(f"{base.upstream}: {problem.details or problem.summary}")
            report.note(f"{base.upstream} can't be pulled ({_first_line(problem.details)})")
        else:
            daemon.images.tag(image, tag(name, base))
            report.note(f"base {name} is {base.upstream}")
            return image
    match base.recipe:
        case Jlink() as recipe if facts.kernel == "Linux" and kit:
            image = _jlink(host, daemon, kit, recipe, tag(name, base), report)
            report.note(f"base {name} is built here: jlink of {kit.home} ({kit.version}) and the C library")
            return image
        case Debian() as recipe if facts.family in {"debian", "ubuntu"}:
            image, made_of = _packages(host, daemon, recipe, tag(name, base), report)
            report.note(f"base {name} is built here from this machine's packages: {made_of}")
            return image
        case Jlink():
            tried.append("recipe: needs Linux and a JDK with jlink")
        case Debian():
            tried.append("recipe: needs Debian's packages")
    hint = "docker login, or a registry mirror in Docker's settings, or a recipe in config/images.yaml"
    raise Unreachable(f"base image {name} is not available", details="\n".join(tried), hint=hint)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:160] if text.strip() else "no answer"


def jlink_command(kit: Jdk, modules: Sequence[str], out: str) -> Command:
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


def _jlink(host: Host, daemon: Daemon, kit: Jdk, recipe: Jlink, name: str, report: Reporter) -> str:
    with tempfile.TemporaryDirectory(prefix="slipway-base-") as folder:
        root = java_rootfs(host, kit, recipe, Path(folder) / "java", report)
        config = [f"ENV PATH={JAVA}/bin", f"ENV JAVA_HOME={JAVA}", *COMMON]
        return daemon.images.import_rootfs(root.tar(), name, config)


def java_rootfs(host: Host, kit: Jdk, recipe: Jlink, out: Path, report: Reporter) -> RootFs:
    """The root file system of a JVM that is linked into `out`: with it, the libraries of this machine, and a locale."""
    modules = linkable(host, kit, recipe, report)
    host.run(jlink_command(kit, modules, str(out)), report).raise_for_status("jlink failed")
    needed = needed_libraries(host, [out / "bin/java", *sorted(out.rglob("*.so"))], report)
    native = native_libraries({path.parent for path in map(Path, needed) if not path.is_relative_to(out)})
    needed += [*map(str, native), *needed_libraries(host, native, report)]
    files = {f"{JAVA}/{path.relative_to(out).as_posix()}": path for path in out.rglob("*") if path.is_file()}
    files |= {path: Path(path) for path in needed if not path.startswith(str(out))}
    locale = locale_files()
    if not locale:
        report.note("this machine has no files of the locale C.UTF-8, without which a JVM may not be in UTF-8")
    return RootFs(files | locale)


def linkable(host: Host, kit: Jdk, recipe: Jlink, report: Reporter) -> list[str]:
    """The modules of a recipe that the JDK has; the others, of newer or older releases of Java, are noted."""
    listing = host.run(Command((f"{kit.home}/bin/java", "--list-modules"), timeout=60), null_reporter(report.cancel))
    known = {line.partition("@")[0] for line in listing.raise_for_status("the JDK lists no modules").text.split()}
    if missing := [module for module in recipe.modules if module not in known]:
        report.note(f"Java {kit.version} has no {', '.join(missing)}")
    return [module for module in recipe.modules if module in known]


def needed_libraries(host: Host, parts: Sequence[Path], report: Reporter) -> list[str]:
    """The paths of the shared libraries that programs and libraries are linked to, and of the loader (ldd(1))."""
    if not parts:
        return []
    return libraries(host.run(Command(("ldd", *map(str, parts))), null_reporter(report.cancel)).text)


def native_libraries(folders: Iterable[Path]) -> list[Path]:
    """Those of `NATIVE` in folders where the loader finds the C library, so that it finds them too."""
    return [folder / name for folder in sorted(folders) for name in NATIVE if (folder / name).is_file()]


def locale_files() -> dict[str, Path]:
    """The files of the locale that the image names in LANG, by path: a JVM whose locale is missing is in US-ASCII.

    glibc finds them by the normalized name (locale(7), "LOCPATH"); musl needs none.
    """
    found = next((folder for folder in map(LOCALES.joinpath, ("C.utf8", "C.UTF-8")) if folder.is_dir()), None)
    return {str(path): path for path in sorted(found.rglob("*")) if path.is_file()} if found else {}


def _packages(host: Host, daemon: Daemon, recipe: Debian, name: str, report: Reporter) -> tuple[str, str]:
    """The image's id, and the packages named in the recipe with their versions."""
    with tempfile.TemporaryDirectory(prefix="slipway-base-") as folder:
        root, versions = debian.build_rootfs(host, recipe, Path(folder), report)
        image = daemon.images.import_rootfs(root.tar(), name, [f"ENV PATH={debian.path_variable(root.files)}", *COMMON])
    return image, ", ".join(f"{package} {versions[package]}" for package in debian.named_packages(recipe))
