"""Makes an offline bundle: every pinned download, Kubernetes' own archive taken apart, Docker's packages.

What was fetched before is not fetched again: downloads are in the user's cache, images on this machine's Docker.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.config.models import Config
from slipway.config.versions import Debian, Jlink
from slipway.docker.protocols import Daemon
from slipway.engine.steps import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts import apt
from slipway.hosts.host import Host
from slipway.installers.bundle import MANIFEST, File, Manifest, local
from slipway.installers.download import digest, fetch
from slipway.installers.packages import named

PROGRAMS = ("kubeadm", "kubelet", "kubectl")  # minikube puts these into its node
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
PLACE = "kubernetes/server/bin"  # in Kubernetes' archive
BARE = "?priority(required)"  # what every Debian has (Debian Policy, 2.5), as apt-patterns(7) say it


@dataclass(frozen=True)
class Collection:
    """A bundle in the making: for machines of `platform`, by `host` and its Docker.

    `base` makes a base that has a recipe alone, of that name, and answers its tag.
    """

    config: Config
    host: Host
    daemon: Daemon
    platform: str
    folder: Path
    base: Callable[[str, Reporter], str]

    def make(self, report: Reporter) -> None:
        """Fill the folder and write the manifest last. Raises Problem for what is not what was pinned."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = [*self.tools(report), *self.kubernetes(report), *self.images(report), *self.packages(report)]
        text = Manifest(files=tuple(files)).model_dump_json(indent=2)
        part = self.folder / f"{MANIFEST}.part"
        part.write_text(text + "\n")  # JSON is YAML
        part.replace(self.folder / MANIFEST)

    def tools(self, report: Reporter) -> Iterator[File]:
        """Minikube and kubectl."""
        for name, tool in (("minikube", self.config.tools.minikube), ("kubectl", self.config.tools.kubectl)):
            if tool and (wanted := tool.platforms.get(self.platform)):
                report.note(f"{name} {tool.version} from {wanted.url}")
                place = self._place("tools", name)
                if not place.is_file() or digest(place) != wanted.sha256:
                    shutil.copy(fetch(wanted.url, wanted.sha256, report), place)
                yield self._file(name, tool.version, place, "tool")

    def kubernetes(self, report: Reporter) -> Iterator[File]:
        """Kubernetes' programs for the node, and its own images, out of one archive."""
        release = self.config.tools.kubernetes
        wanted = release.platforms.get(self.platform) if release else None
        if release is None or wanted is None:
            return
        report.note(f"Kubernetes {release.version} from {wanted.url}")
        places = {f"{PLACE}/{name}": self._place("cluster", name) for name in PROGRAMS}
        places |= {f"{PLACE}/{name}.tar": self._place("images", f"{name}.tar") for name in COMPONENTS}
        missing = set(places)
        with tarfile.open(fetch(wanted.url, wanted.sha512, report)) as archive:
            for member in archive:
                if member.name in missing and (content := archive.extractfile(member)):
                    with places[member.name].open("wb") as file:
                        shutil.copyfileobj(content, file)
                    missing.remove(member.name)
                    report.progress(len(places) - len(missing), len(places), "files")
        if missing:
            raise Problem(f"{wanted.url} has no {', '.join(sorted(missing))}", hint="check config/tools.yaml")
        for name in PROGRAMS:
            yield self._file(name, release.version, places[f"{PLACE}/{name}"], "cluster")
        for name in COMPONENTS:
            reference = f"registry.k8s.io/{name}:v{release.version}"
            yield self._file(name, reference, places[f"{PLACE}/{name}.tar"], "image")

    def images(self, report: Reporter) -> Iterator[File]:
        """The images that `config/images.yaml` pins, each pulled by its digest; a base without a pin is made here."""
        pinned = self.config.images
        for name, base in {**pinned.cluster, **pinned.parts, **pinned.bases}.items():
            if base.upstream:
                report.note(f"image {name} from {base.upstream}")
                place = self._place("images", f"{name}.tar")
                self.daemon.tag(self.daemon.pull(base.upstream, report, self.platform), local(name))
                self.daemon.save(local(name), str(place), report)
                yield self._file(name, base.upstream.partition("@")[0], place, "image")
            elif base.recipe and self._makes(base.recipe):
                report.note(f"image {name} by its recipe")
                place, tag = self._place("images", f"{name}.tar"), self.base(name, report)
                self.daemon.save(tag, str(place), report)
                yield self._file(name, tag, place, "image")
            elif base.recipe:
                report.note(
                    f"image {name} is not in it: a machine of the hosts' kind makes it, of packages one with apt"
                )

    def packages(self, report: Reporter) -> Iterator[File]:
        """Docker's packages for this machine's release of Debian or Ubuntu, and what they need beyond a bare one."""
        facts, quiet = self.host.probe.facts(), null_reporter(report.cancel)
        wanted = named(self.config.tools.docker.packages, facts)
        if not wanted or "apt-get" not in facts.has or facts.platform != self.platform:
            report.note("Docker's packages are not in it: a machine with apt and of the hosts' kind fetches them")
            return
        hint = "sudo apt-get update; then try again"
        needed, bare = (
            apt.parse_simulation(
                self.host.run(apt.simulate_install(names), quiet).raise_for_status("apt can't have them", hint).text
            )
            for names in (wanted, [BARE])
        )
        names = sorted(needed - bare)
        system = f"{facts.family}-{facts.version}"
        report.note(f"{len(names)} packages for {system}: {' '.join(names)}")
        folder = self.folder / "packages" / system
        shutil.rmtree(folder, ignore_errors=True)  # of an older release of them
        folder.mkdir(parents=True)
        self.host.run(apt.download(names, str(folder)), report).raise_for_status(
            "the packages could not be fetched", hint
        )
        for path in sorted(folder.glob("*.deb")):
            name, version = path.name.split("_")[:2]
            yield self._file(name, version, path, "package", system)

    def _makes(self, recipe: Jlink | Debian) -> bool:
        facts = self.host.probe.facts()
        alike = facts.kernel == "Linux" and facts.platform == self.platform
        return alike and (isinstance(recipe, Jlink) or "apt-get" in facts.has)

    def _place(self, kind: str, name: str) -> Path:
        place = self.folder / kind / name
        place.parent.mkdir(exist_ok=True)
        return place

    def _file(self, name: str, version: str, place: Path, purpose: str, system: str = "") -> File:
        return File.model_validate(
            {"name": name, "version": version, "platform": self.platform, "sha256": digest(place), "purpose": purpose,
             "path": place.relative_to(self.folder).as_posix(), "system": system}
        )  # fmt: skip
