"""A base image's root file system from Debian packages: downloaded with this machine's apt, unpacked, trimmed.

Nothing is installed, and no privilege is needed. The libraries that the selected programs are linked to come from
the packages too, found by the packages' own loader. This machine's distribution decides the versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from slipway.config.versions import Debian
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import UsageError
from slipway.hosts import apt
from slipway.hosts.host import Command, Host, script
from slipway.images.rootfs import RootFs

MERGED = ("bin", "lib", "lib64", "sbin")  # links into /usr, as on every Debian since 12
BUSYBOX = "/usr/bin/busybox"


def select_packages(recipe: Debian, records: str) -> dict[str, str]:
    """The packages to download with their versions, out of `apt-cache show`: those selected by name, and libraries."""
    from pathspec import GitIgnoreSpec

    selected = GitIgnoreSpec.from_lines(recipe.packages)
    excluded = GitIgnoreSpec.from_lines(name.removeprefix("!") for name in recipe.packages if name.startswith("!"))
    found: dict[str, str] = {}
    for fields in apt.parse_records(records):
        name = fields.get("Package", "")
        library = fields.get("Section") == "libs" and not excluded.match_file(name)
        if name and (library or selected.match_file(name)):
            found[name] = fields["Version"]
    return found


def named_packages(recipe: Debian) -> list[str]:
    """The packages that a recipe names without a pattern."""
    return [name for name in recipe.packages if not re.search(r"[!*?\[]", name)]


def merged_usr_path(path: str) -> str:
    """A file's path where /bin, /lib and /sbin are links into /usr."""
    return f"/usr{path}" if path.split("/")[1] in MERGED else path


def build_rootfs(host: Host, recipe: Debian, folder: Path, report: Reporter) -> tuple[RootFs, dict[str, str]]:
    """The root file system that a recipe describes, its files under `folder`, and the packages' versions.

    Raises Problem if a package can't be downloaded or no package has a library.
    """
    quiet = null_reporter(report.cancel)
    update = "sudo apt-get update; then try again"
    listing = (
        host.run(apt.list_dependencies(named_packages(recipe)), quiet)
        .raise_for_status("the packages are not in apt's lists", update)
        .text
    )
    records = host.run(apt.show_records(apt.parse_dependencies(listing)), quiet)
    versions = select_packages(recipe, records.raise_for_status("the packages are not in apt's lists", update).text)
    report.output("stdout", f"{len(versions)} packages: {' '.join(sorted(versions))}")
    host.run(apt.download(sorted(versions), str(folder)), report).raise_for_status(
        "the packages could not be downloaded", update
    )
    unpack = f'cd "{folder}" && for package in *.deb; do dpkg-deb --extract "$package" . && rm "$package"; done'
    host.run(script(unpack), quiet).raise_for_status("a package could not be unpacked")
    files = dict(selected_files(recipe, folder))
    files.update(linked_libraries(host, folder, list(files.values()), quiet))
    links = {f"/{name}": f"usr/{name}" for name in MERGED}
    if BUSYBOX in files:
        applets = (
            host.run(Command((str(files[BUSYBOX]), "--list")), quiet).raise_for_status("busybox does not run").text
        )
        links |= {f"/usr/bin/{name}": "busybox" for name in applets.split() if name != "busybox"}
    return RootFs(files, {path: target for path, target in links.items() if path not in files}, recipe.owned), versions


def selected_files(recipe: Debian, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that a recipe selects from unpacked packages, by path. Raises UsageError for a line without any."""
    from pathspec import GitIgnoreSpec

    paths = {merged_usr_path(f"/{p.relative_to(folder).as_posix()}"): p for p in folder.rglob("*") if p.is_file()}
    for line in recipe.files:
        if not line.startswith("!") and not any(GitIgnoreSpec.from_lines([line]).match_files(paths)):
            raise UsageError(f"no package has {line}", hint="correct `files` in config/images.yaml")
    for path in GitIgnoreSpec.from_lines(recipe.files).match_files(paths):
        yield path, paths[path]


def linked_libraries(host: Host, folder: Path, files: Iterable[Path], report: Reporter) -> Mapping[str, Path]:
    """The libraries that programs among `files` are linked to, and their loader, all from the packages, by path."""
    programs = [f"./{path.relative_to(folder)}" for path in files if path.read_bytes()[:4] == b"\x7fELF"]
    where = sorted(f"./{p.relative_to(folder)}" for p in folder.glob("**/*-linux-gnu*") if p.parent.name == "lib")
    interpreter = next(path for path in sorted(folder.glob("**/lib*/ld-linux*")) if path.parent.parent.name != "lib")
    loader = next(path for path in sorted(folder.rglob(interpreter.name)) if not path.is_symlink())
    ask = 'path=$1 loader=$2; shift 2; for program; do "$loader" --library-path "$path" --list "$program"; done'
    argv = ("sh", "-c", ask, "sh", ":".join(where), f"./{loader.relative_to(folder)}", *programs)
    output = host.run(Command(argv, cwd=str(folder)), report).text
    found = set(re.findall(r"=> (\S+) \(0x", output))
    missing = {*re.findall(r"^\s+(\S+) => not found", output, re.MULTILINE)}
    missing |= {name for name in found if not name.startswith("./") and not name.endswith(interpreter.name)}
    if missing or not found:
        summary = f"{', '.join(sorted(missing)) or 'the C library'} is in none of the packages"
        raise UsageError(summary, hint="add its package to the recipe in config/images.yaml")
    libraries = {merged_usr_path(name[1:]): folder / name for name in found if name.startswith("./")}
    return libraries | {merged_usr_path(f"/{interpreter.relative_to(folder).as_posix()}"): loader}


def path_variable(files: Iterable[str]) -> str:
    """The value of PATH: the folders named `bin` or `sbin` that have files."""
    folders = {path.rpartition("/")[0] for path in files}
    return ":".join(sorted(folder for folder in folders if folder.rpartition("/")[2] in {"bin", "sbin"}))
