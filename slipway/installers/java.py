"""Java and Leiningen on the machine that builds: a JDK with jlink, lein, and Debian's Clojure libraries off Clojars."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipway.config.versions import ClojureTool, JavaTool, LeiningenTool, LeinScript, Tools
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Probe, Step
from slipway.errors import UsageError, untrusted_certificate
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, Privilege
from slipway.installers import packages
from slipway.installers.download import fetch
from slipway.installers.host_step import HostStep

CLOJARS_TIMEOUT = 4  # seconds


def steps(host: Host, want: Tools, clojars: Probe[bool]) -> Iterator[Step[Facts]]:
    """The steps that make a machine able to build Clojure services. `clojars` is whether Clojars can be reached."""
    title = f"JDK {want.java.minimum} or newer, with jlink"
    jdk = InstallJdk(name="jdk", title=title, host=host, want=want.java, limit=host.packages)
    yield jdk
    leiningen = InstallLeiningen(
        name="leiningen",
        title="Leiningen",
        host=host,
        want=want.leiningen,
        after=(jdk.id,),
        limit=host.packages,
        invalidates=(clojars,),  # its URL is read out of Leiningen
    )
    yield leiningen
    yield InstallClojureLibraries(
        name="repository",
        title="Clojure libraries",
        host=host,
        want=want.clojure,
        clojars=clojars,
        after=(leiningen.id,),
        limit=host.packages,
    )


@dataclass(frozen=True, kw_only=True)
class InstallJdk(HostStep):
    """The distribution's JDK."""

    want: JavaTool

    def check(self, facts: Facts) -> Change | None:
        """Whether there is a JDK with jlink that is new enough."""
        return jdk_differs(facts, self.want.minimum)

    def apply(self, report: Reporter) -> None:
        """Install the packages."""
        install_packages(self.host, self.want.packages, "a JDK", report)


@dataclass(frozen=True, kw_only=True)
class InstallLeiningen(HostStep):
    """The distribution's Leiningen, or where it has none Leiningen's own script and jar."""

    want: LeiningenTool

    def check(self, facts: Facts) -> Change | None:
        """Any lein will do."""
        return None if facts.lein else Change("lein is not installed")

    def apply(self, report: Reporter) -> None:
        """Install the packages, or the script and its jar where it looks for that."""
        if packages.names_for(self.want.packages, self.host.probe.facts()) is not None:
            install_packages(self.host, self.want.packages, "Leiningen", report)
        elif self.want.script is not None:
            self._install_script(self.want.script, report)
        else:
            raise UsageError("no package of Leiningen is known for this system", hint="see https://leiningen.org")

    def _install_script(self, script: LeinScript, report: Reporter) -> None:
        jar = f"/usr/share/java/leiningen-{script.version}-standalone.jar"
        report.note(f"no package of Leiningen is known for this system: its own script, version {script.version}")
        content = Path(fetch(script.jar_url, script.jar_sha256, report)).read_bytes()
        self.host.write_file(content, jar, 0o644, Privilege.ROOT, report)
        content = Path(fetch(script.url, script.sha256, report)).read_bytes()
        self.host.write_file(content, "/usr/local/bin/lein", 0o755, Privilege.ROOT, report)


@dataclass(frozen=True, kw_only=True)
class InstallClojureLibraries(HostStep):
    """Debian's packages of the Clojure libraries, which replace Clojars where that can't be reached."""

    want: ClojureTool
    clojars: Probe[bool]

    def check(self, facts: Facts) -> Change | None:
        """Whether builds find their libraries."""
        return libraries_differ(facts, self.clojars)

    def apply(self, report: Reporter) -> None:
        """Install the packages."""
        install_packages(self.host, self.want.packages, "Clojure's libraries", report)


def jdk_differs(facts: Facts, minimum: int) -> Change | None:
    """Why a JDK must be installed, or None."""
    if facts.jdk(minimum):
        return None
    others = ", ".join(kit.version for kit in facts.jdks)
    return Change(f"no JDK {minimum} or newer with jlink" + (f" (there is {others})" if others else ""))


def libraries_differ(facts: Facts, clojars: Probe[bool]) -> Change | None:
    """Why Debian's Clojure libraries must be installed, or None: they are, this is not Debian, or Clojars answers.

    Clojars is asked only where its answer decides.
    """
    if facts.maven_repo or facts.family != "debian" or clojars.facts():
        return None
    return Change("Clojars does not answer; Debian packages the same libraries")


def install_packages(host: Host, names: Mapping[str, tuple[str, ...]], what: str, report: Reporter) -> None:
    """Install a tool's packages. Raises UsageError where none are configured for the host's system."""
    facts = host.probe.facts()
    found = packages.names_for(names, facts)
    if found is None:
        hint = "brew install openjdk leiningen" if facts.family == "macos" else "install it by hand"
        raise UsageError(f"no package of {what} is known for {facts.family}", hint=hint)
    packages.install(host, found, report)


def clojars_url(jars: tuple[str, ...]) -> str:
    """Where Leiningen looks for Clojars, read out of Leiningen's own jar; empty if no jar says it."""
    for jar in jars:
        try:
            with zipfile.ZipFile(jar) as archive:
                text = archive.read("leiningen/core/project.clj").decode()
        except (OSError, KeyError, zipfile.BadZipFile):
            continue
        found = re.search(r'"clojars"\s*\{\s*:url\s+"([^"]+)"', text)
        if found:
            return found[1]
    return ""


def clojars_answers(facts: Facts) -> bool:
    """Whether the Clojars that Leiningen uses can be reached. True where its URL is not known: lein will report it.

    Raises Problem where its certificate is not trusted.
    """
    import requests
    import truststore

    truststore.inject_into_ssl()
    url = clojars_url(facts.lein_jars)
    if not url:
        return True
    try:
        return requests.head(url, timeout=CLOJARS_TIMEOUT, allow_redirects=True).status_code < 500
    except requests.exceptions.SSLError as error:
        raise untrusted_certificate(urlsplit(url).hostname or url, str(error)) from error
    except requests.RequestException:
        return False
