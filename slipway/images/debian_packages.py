"""A base's root of Debian's packages: fetched with this machine's apt, unpacked, trimmed; nothing is installed.

No root is needed. The libraries that the chosen programs are linked to come from packages too, found by the packages'
own loader; the distribution of this machine decides the versions.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from slipway.config.versions import Debian
from slipway.engine.steps import Reporter, null_reporter
from slipway.errors import UsageError
from slipway.hosts import apt
from slipway.hosts.host import Command, Host, script
from slipway.images.rootfs import Root

MERGED = ("bin", "lib", "lib64", "sbin")  # links into /usr, as every Debian has them since 12
BUSYBOX = "/usr/bin/busybox"


@cache
def release() -> str:
    """The distribution of this machine and its release, as `debian-12`, from os-release(5); empty where there is none.

    Asked whenever a digest is, which is why it does not wait for the probe.
    """
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        return ""
    return f"{told.get('ID', '')}-{told.get('VERSION_ID', '')}"


def chosen(recipe: Debian, records: str) -> dict[str, str]:
    """Which packages are fetched, and their versions, from `apt-cache show`: those picked by name, and libraries."""
    from pathspec import GitIgnoreSpec

    picked = GitIgnoreSpec.from_lines(recipe.packages)
    excluded = GitIgnoreSpec.from_lines(name.removeprefix("!") for name in recipe.packages if name.startswith("!"))
    found: dict[str, str] = {}
    for fields in apt.parse_records(records):
        name = fields.get("Package", "")
        library = fields.get("Section") == "libs" and not excluded.match_file(name)
        if name and (library or picked.match_file(name)):
            found[name] = fields["Version"]
    return found


def roots(recipe: Debian) -> list[str]:
    """The packages that a recipe names without a pattern."""
    return [name for name in recipe.packages if not re.search(r"[!*?\[]", name)]


def merged(path: str) -> str:
    """A file's place where /bin, /lib and /sbin are links into /usr."""
    return f"/usr{path}" if path.split("/")[1] in MERGED else path


def root(host: Host, recipe: Debian, folder: Path, report: Reporter) -> tuple[Root, dict[str, str]]:
    """The root file system that a recipe describes, its files under `folder`, and the packages' versions.

    Raises Problem if a package cannot be had or a library is in none of them.
    """
    quiet = null_reporter(report.cancel)
    update = "sudo apt-get update; then try again"
    listing = (
        host.run(apt.list_dependencies(roots(recipe)), quiet)
        .raise_for_status("the packages are not in apt's lists", update)
        .text
    )
    records = host.run(apt.show_records(apt.parse_dependencies(listing)), quiet)
    versions = chosen(recipe, records.raise_for_status("the packages are not in apt's lists", update).text)
    report.output("stdout", f"{len(versions)} packages: {' '.join(sorted(versions))}")
    host.run(apt.download(sorted(versions), str(folder)), report).raise_for_status(
        "the packages could not be fetched", update
    )
    unpack = f'cd "{folder}" && for package in *.deb; do dpkg-deb --extract "$package" . && rm "$package"; done'
    host.run(script(unpack), quiet).raise_for_status("a package could not be unpacked")
    files = dict(picked(recipe, folder))
    files.update(linked(host, folder, list(files.values()), quiet))
    links = {f"/{name}": f"usr/{name}" for name in MERGED}
    if BUSYBOX in files:
        applets = (
            host.run(Command((str(files[BUSYBOX]), "--list")), quiet).raise_for_status("busybox does not run").text
        )
        links |= {f"/usr/bin/{name}": "busybox" for name in applets.split() if name != "busybox"}
    return Root(files, {place: to for place, to in links.items() if place not in files}, recipe.owned), versions


def picked(recipe: Debian, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that a recipe picks from unpacked packages, by place. Raises Problem for a line that picks none."""
    from pathspec import GitIgnoreSpec

    places = {merged(f"/{p.relative_to(folder).as_posix()}"): p for p in folder.rglob("*") if p.is_file()}
    for line in recipe.files:
        if not line.startswith("!") and not any(GitIgnoreSpec.from_lines([line]).match_files(places)):
            raise UsageError(f"no package has {line}", hint="mend files in config/images.yaml")
    for place in GitIgnoreSpec.from_lines(recipe.files).match_files(places):
        yield place, places[place]


def linked(host: Host, folder: Path, files: Iterable[Path], report: Reporter) -> Mapping[str, Path]:
    """The libraries that programs among `files` are linked to and their loader, all from the packages, by place."""
    programs = [f"./{path.relative_to(folder)}" for path in files if path.read_bytes()[:4] == b"\x7fELF"]
    where = sorted(f"./{p.relative_to(folder)}" for p in folder.glob("**/*-linux-gnu*") if p.parent.name == "lib")
    interpreter = next(path for path in sorted(folder.glob("**/lib*/ld-linux*")) if path.parent.parent.name != "lib")
    loader = next(path for path in sorted(folder.rglob(interpreter.name)) if not path.is_symlink())
    ask = 'path=$1 loader=$2; shift 2; for program; do "$loader" --library-path "$path" --list "$program"; done'
    argv = ("sh", "-c", ask, "sh", ":".join(where), f"./{loader.relative_to(folder)}", *programs)
    said = host.run(Command(argv, cwd=str(folder)), report).text
    found = set(re.findall(r"=> (\S+) \(0x", said))
    missing = {*re.findall(r"^\s+(\S+) => not found", said, re.MULTILINE)}
    missing |= {name for name in found if not name.startswith("./") and not name.endswith(interpreter.name)}
    if missing or not found:
        summary = f"{', '.join(sorted(missing)) or 'the C library'} is in none of the packages"
        raise UsageError(summary, hint="add its package to the recipe in config/images.yaml")
    places = {merged(name[1:]): folder / name for name in found if name.startswith("./")}
    return places | {merged(f"/{interpreter.relative_to(folder).as_posix()}"): loader}


def path(files: Iterable[str]) -> str:
    """PATH: the folders named `bin` that have programs."""
    return ":".join(sorted({place.rpartition("/")[0] for place in files if "/bin/" in place}))
