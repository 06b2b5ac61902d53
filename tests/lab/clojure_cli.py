"""A `clojure` for `-T`, where no package has one: tools.deps makes the class path, as behind the official command."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.lab.machines import sh

TOOLS_BUILD = "0.10.5"  # it brings tools.deps
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lab</groupId><artifactId>clojure</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.github.clojure</groupId><artifactId>tools.build</artifactId><version>{TOOLS_BUILD}</version>
    </dependency>
  </dependencies>
</project>
"""
SCRIPT = """#!/bin/sh
# clojure -T:ALIAS FUNCTION
set -eu
alias=${{1#-T}} function=$2 cache=.cpcache
mkdir -p $cache
java -cp {path} clojure.main -m clojure.tools.deps.script.make-classpath2 --config-project deps.edn \\
  --tool-mode --tool-aliases "$alias" --cp-file $cache/1.cp --jvm-file $cache/1.jvm --main-file $cache/1.main \\
  --manifest-file $cache/1.manifest --basis-file $cache/1.basis
exec java -Dclojure.basis=$cache/1.basis -cp "$(cat $cache/1.cp)" clojure.main -e "
(let [space (:ns-default (:argmap (read-string (slurp \\"$cache/1.basis\\"))))]
  ((requiring-resolve (symbol (str space) \\"$function\\")) {{}}))"
"""


def install(folder: Path) -> None:
    """Put `clojure` into a folder, which must be on the PATH; Maven fetches what it needs."""
    (folder / "pom.xml").write_text(POM)
    sh("mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=path", cwd=folder)
    script = folder / "clojure"
    script.write_text(SCRIPT.format(path=shlex.quote((folder / "path").read_text())))
    script.chmod(0o755)
