"""Creates an offline bundle: every pinned download, Kubernetes' release archive unpacked, Docker's packages.

What was downloaded before is not downloaded again: files are in the user's cache, images on this machine's Docker.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.config.models import Config
from slipway.config.versions import Debian, Jlink
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts import apt
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host
from slipway.installers.bundle import MANIFEST, File, Manifest, Purpose, image_tag
from slipway.installers.download import digest, fetch
from slipway.installers.packages import names_for

PROGRAMS = ("kubeadm", "kubelet", "kubectl")  # for a cluster's node
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
ARCHIVE_FOLDER = "kubernetes/server/bin"  # in Kubernetes' release archive
REQUIRED = "?priority(required)"  # what every Debian has (Debian Policy, 2.5), as a pattern of apt-patterns(7)
APT_HINT = "sudo apt-get update; then try again"


@dataclass(frozen=True)
class BundleBuilder:
    """Creates a bundle for machines of `platform`, with the packages of `host` and the images of its Docker.

    `base` builds the base image of that name, for which there is only a recipe, and returns its tag.
    """

    config: Config
    host: Host
    daemon: Daemon
    platform: str
    folder: Path
    base: Callable[[str, Reporter], str]

    def build(self, report: Reporter) -> None:
        """Fill the folder and write the manifest last. Raises Problem for a file that is not what was pinned."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = [*self.tools(report), *self.kubernetes(report), *self.images(report), *self.packages(report)]
        text = Manifest(files=tuple(files)).model_dump_json(indent=2)
        part = self.folder / f"{MANIFEST}.part"
        part.write_text(text + "\n")  # JSON is YAML
        part.replace(self.folder / MANIFEST)

    def tools(self, report: Reporter) -> Iterator[File]:
        """The programs of a cluster's machine."""
        for name, tool in self.config.tools.programs.items():
            if tool and (pinned := tool.platforms.get(self.platform)):
                report.note(f"{name} {tool.version} from {pinned.url}")
                path = self._path("tools", name)
                if not path.is_file() or digest(path) != pinned.sha256:
                    shutil.copy(fetch(pinned.url, pinned.sha256, report), path)
                yield self._file(name, tool.version, path, "tool")

    def kubernetes(self, report: Reporter) -> Iterator[File]:
        """Kubernetes' programs for the node, and its own images, out of one archive."""
        release = self.config.tools.kubernetes
        pinned = release.platforms.get(self.platform) if release else None
        if release is None or pinned is None:
            return
        report.note(f"Kubernetes {release.version} from {pinned.url}")
        paths = {f"{ARCHIVE_FOLDER}/{name}": self._path("cluster", name) for name in PROGRAMS}
        paths |= {f"{ARCHIVE_FOLDER}/{name}.tar": self._path("images", f"{name}.tar") for name in COMPONENTS}
        missing = _extract(Path(fetch(pinned.url, pinned.sha512, report)), paths, report)
        if missing:
            raise Problem(f"{pinned.url} has no {', '.join(sorted(missing))}", hint="check config/tools.yaml")
        for name in PROGRAMS:
            yield self._file(name, release.version, paths[f"{ARCHIVE_FOLDER}/{name}"], "cluster")
        for name in COMPONENTS:
            reference = f"registry.k8s.io/{name}:v{release.version}"
            yield self._file(name, reference, paths[f"{ARCHIVE_FOLDER}/{name}.tar"], "image")

    def images(self, report: Reporter) -> Iterator[File]:
        """The images of config/images.yaml: pinned ones pulled by digest, bases that have only a recipe built here."""
        images = self.config.images
        for name, base in {**images.cluster, **images.parts, **images.bases}.items():
            if base.upstream:
                report.note(f"image {name} from {base.upstream}")
                path, tag = self._path("images", f"{name}.tar"), image_tag(name)
                self.daemon.images.tag(self.daemon.transfers.pull(base.upstream, report, self.platform), tag)
                self.daemon.transfers.save(tag, str(path), report)
                yield self._file(name, base.upstream.partition("@")[0], path, "image")
            elif base.recipe and can_build(self.host.probe.facts(), self.platform, base.recipe):
                report.note(f"image {name} by its recipe")
                path, tag = self._path("images", f"{name}.tar"), self.base(name, report)
                self.daemon.transfers.save(tag, str(path), report)
                yield self._file(name, tag, path, "image")
            elif base.recipe:
                needed = f"Linux on {self.platform}" + (" with apt" if isinstance(base.recipe, Debian) else "")
                report.note(f"image {name} is left out: building it needs {needed}")

    def packages(self, report: Reporter) -> Iterator[File]:
        """Docker's packages for this machine's release of Debian or Ubuntu, with all dependencies that it may lack."""
        facts = self.host.probe.facts()
        wanted = names_for(self.config.tools.docker.packages, facts)
        if not wanted or "apt-get" not in facts.has or facts.platform != self.platform:
            report.note(f"Docker's packages are left out: downloading them needs apt on {self.platform}")
            return
        names = sorted(self._installed_by(wanted, report) - self._installed_by((REQUIRED,), report))
        system = f"{facts.family}-{facts.version}"
        report.note(f"{len(names)} packages for {system}: {' '.join(names)}")
        folder = self.folder / "packages" / system
        shutil.rmtree(folder, ignore_errors=True)  # of older versions
        folder.mkdir(parents=True)
        result = self.host.run(apt.download(names, str(folder)), report)
        result.raise_for_status("the packages could not be downloaded", APT_HINT)
        for path in sorted(folder.glob("*.deb")):
            name, version = path.name.split("_")[:2]
            yield self._file(name, version, path, "package", system)

    def _installed_by(self, names: tuple[str, ...], report: Reporter) -> set[str]:
        """The packages that apt would install for `names` on a machine that has none."""
        result = self.host.run(apt.simulate_install(names), null_reporter(report.cancel))
        return apt.parse_simulation(result.raise_for_status("apt does not find the packages", APT_HINT).text)

    def _path(self, folder: str, name: str) -> Path:
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        return path

    def _file(self, name: str, version: str, path: Path, purpose: Purpose, system: str = "") -> File:
        return File(
            name=name,
            version=version,
            platform=self.platform,
            path=path.relative_to(self.folder).as_posix(),
            sha256=digest(path),
            purpose=purpose,
            system=system,
        )


def can_build(facts: Facts, platform: str, recipe: Jlink | Debian) -> bool:
    """Whether a machine can build a base image for a platform by its recipe."""
    suitable = facts.kernel == "Linux" and facts.platform == platform
    return suitable and (isinstance(recipe, Jlink) or "apt-get" in facts.has)


def _extract(source: Path, paths: Mapping[str, Path], report: Reporter) -> set[str]:
    """Extract members of an archive to `paths`; the names of those that it does not have."""
    missing = set(paths)
    with tarfile.open(source) as archive:
        for member in archive:
            if member.name in missing and (content := archive.extractfile(member)):
                with paths[member.name].open("wb") as file:
                    shutil.copyfileobj(content, file)
                missing.remove(member.name)
                report.progress(len(paths) - len(missing), len(paths), "files")
    return missing
