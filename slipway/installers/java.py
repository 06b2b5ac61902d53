"""Java and Leiningen on the machine that builds: a JDK with jlink, lein, and a repository where Clojars is away."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from slipway.config.versions import Tools
from slipway.engine.steps import Change, Probe, Reporter, Step, function_step
from slipway.errors import UsageError, untrusted_certificate
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, Privilege, step_prefix
from slipway.installers import packages
from slipway.installers.download import fetch

ANSWER = 4  # seconds that Clojars gets to answer


def steps(host: Host, want: Tools, clojars: Probe[bool]) -> Iterator[Step[Facts]]:
    """The steps that make a machine able to build Clojure services."""
    mine = step_prefix(host)
    yield function_step(
        id=f"{mine}/jdk",
        title=f"JDK {want.java.minimum} or newer, with jlink",
        probe=host.probe,
        check=lambda facts: jdk_differs(facts, want.java.minimum),
        apply=lambda report: _add(host, want.java.packages, "a JDK", report),
        lane=host.packages,
    )
    yield function_step(
        id=f"{mine}/leiningen",
        title="Leiningen",
        probe=host.probe,
        check=lambda facts: None if facts.lein else Change("lein is not installed"),
        apply=lambda report: _leiningen(host, want, report),
        after=(f"{mine}/jdk",),
        lane=host.packages,
        invalidates=(clojars,),  # where Leiningen looks is read off Leiningen
    )
    yield function_step(
        id=f"{mine}/repository",
        title="Clojure libraries",
        probe=host.probe,
        check=lambda facts: repository_differs(facts, clojars),
        apply=lambda report: _add(host, want.clojure.packages, "Clojure's libraries", report),
        after=(f"{mine}/leiningen",),
        lane=host.packages,
    )


def jdk_differs(facts: Facts, minimum: int) -> Change | None:
    """Why a JDK must be installed, or None."""
    if facts.jdk(minimum):
        return None
    others = ", ".join(kit.version for kit in facts.jdks)
    return Change(f"no JDK {minimum} or newer with jlink" + (f" (there is {others})" if others else ""))


def repository_differs(facts: Facts, clojars: Probe[bool]) -> Change | None:
    """Why Debian's own Clojure libraries are needed, or None: they are there, not Debian's, or Clojars answers."""
    if facts.maven_repo or facts.family != "debian" or clojars.facts():
        return None
    return Change("Clojars does not answer; Debian packages the same libraries")


def clojars_url(jars: tuple[str, ...]) -> str:
    """Where Leiningen itself looks for Clojars: its own jar says it. Empty if it cannot be told."""
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


def reachable(facts: Facts) -> bool:
    """Whether the repository answers that Leiningen would ask. True if it cannot be told: lein will say.

    Raises Problem where the answer comes with a certificate that is not trusted.
    """
    import requests
    import truststore

    truststore.inject_into_ssl()
    url = clojars_url(facts.lein_jars)
    if not url:
        return True
    try:
        return requests.head(url, timeout=ANSWER, allow_redirects=True).status_code < 500
    except requests.exceptions.SSLError as error:
        raise untrusted_certificate(urlsplit(url).hostname or url, str(error)) from error
    except requests.RequestException:
        return False


def _add(host: Host, table: dict[str, tuple[str, ...]], summary: str, report: Reporter) -> None:
    facts = host.probe.facts()
    names = packages.named(table, facts)
    if names is None:
        hint = "brew install openjdk leiningen" if facts.family == "macos" else "install it by hand"
        raise UsageError(f"no package of {summary} is known for {facts.family}", hint=hint)
    packages.add(host, names, report)


def _leiningen(host: Host, want: Tools, report: Reporter) -> None:
    facts = host.probe.facts()
    if packages.named(want.leiningen.packages, facts) is not None:
        _add(host, want.leiningen.packages, "Leiningen", report)
        return
    script = want.leiningen.script
    if script is None:
        raise UsageError("no package of Leiningen is known here", hint="see https://leiningen.org")
    jar = f"/usr/share/java/leiningen-{script.version}-standalone.jar"
    report.note(f"no package of Leiningen is known here: its own script, version {script.version}")
    host.write_file(
        Path(fetch(script.jar_url, script.jar_sha256, report)).read_bytes(), jar, 0o644, Privilege.ROOT, report
    )
    host.write_file(
        Path(fetch(script.url, script.sha256, report)).read_bytes(),
        "/usr/local/bin/lein",
        0o755,
        Privilege.ROOT,
        report,
    )
