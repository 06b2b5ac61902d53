"""Services of other builders than Leiningen: one in Java that Maven builds, and one of a deps.edn and tools.build."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.project import Project, free_port
from tests.lab.clojure_cli import TOOLS_BUILD

JAPANESE = "注文を受け付けました"


def _plugin(name: str, version: str, more: str = "") -> str:
    return f"<plugin><artifactId>maven-{name}-plugin</artifactId><version>{version}</version>{more}</plugin>"


SHADE = """<configuration><transformers>
  <transformer implementation="org.apache.maven.plugins.shade.resource.ManifestResourceTransformer">
    <mainClass>orders.Main</mainClass>
  </transformer>
</transformers></configuration>
<executions><execution><phase>package</phase><goals><goal>shade</goal></goals></execution></executions>"""
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lab</groupId><artifactId>orders</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>org.xerial</groupId><artifactId>sqlite-jdbc</artifactId><version>3.46.1.0</version>
    </dependency>
  </dependencies>
  <build>
    <finalName>app</finalName>
    <plugins>
      {_plugin("compiler", "3.10.1")}
      {_plugin("shade", "3.4.1", SHADE)}
    </plugins>
  </build>
</project>
"""
JAVA = f"""package orders;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.sql.DriverManager;

class Main {{
    static final String GREETING = "hello";

    static String sqlite() throws Exception {{
        try (var open = DriverManager.getConnection("jdbc:sqlite::memory:");
             var rows = open.createStatement().executeQuery("select sqlite_version()")) {{
            rows.next();
            return rows.getString(1);
        }}
    }}

    static String answer(String path) throws Exception {{
        System.out.println("{JAPANESE} " + path);
        return switch (path) {{
            case "/sqlite" -> sqlite();
            case "/encodings" -> System.getProperty("file.encoding") + " " + System.getProperty("native.encoding");
            default -> GREETING;
        }};
    }}

    public static void main(String[] words) throws Exception {{
        var server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {{
            try (exchange) {{
                var body = answer(exchange.getRequestURI().getPath()).getBytes(StandardCharsets.UTF_8);
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }} catch (Exception error) {{
                error.printStackTrace();
            }}
        }});
        server.start();
    }}
}}
"""
DOCKERFILE = """ARG BASE
FROM ${BASE}
WORKDIR /app
COPY target/slipway/deps.jar deps.jar
COPY target/slipway/app.jar app.jar
USER 10001:10001
ENTRYPOINT ["java", "-cp", "/app/deps.jar:/app/app.jar", "MAIN"]
"""
DEPS = f"""{{:paths ["src"]
 :deps {{org.clojure/clojure {{:mvn/version "1.11.4"}}}}
 :aliases {{:build {{:deps {{io.github.clojure/tools.build {{:mvn/version "{TOOLS_BUILD}"}}}}
                   :ns-default build}}}}}}
"""
BUILD = """(ns build (:require [clojure.tools.build.api :as b]))
(defn uber [_]
  (let [basis (b/create-basis {:project "deps.edn"})]
    (b/delete {:path "target"})
    (b/copy-dir {:src-dirs ["src"] :target-dir "target/classes"})
    (b/compile-clj {:basis basis :ns-compile '[prices.main] :class-dir "target/classes"})
    (b/uber {:basis basis :class-dir "target/classes" :uber-file "target/app.jar" :main 'prices.main})))
"""
CLOJURE = """(ns prices.main
  (:gen-class)
  (:import (com.sun.net.httpserver HttpHandler HttpServer) (java.net InetSocketAddress)))
(def greeting "hello")
(def handler
  (reify HttpHandler
    (handle [_ exchange]
      (let [body (.getBytes ^String greeting)]
        (.sendResponseHeaders exchange 200 (alength body))
        (with-open [out (.getResponseBody exchange)] (.write out body))))))
(defn -main [& _]
  (doto (HttpServer/create (InetSocketAddress. 8080) 0) (.createContext "/" handler) .start))
"""


def _check(name: str, path: str, body: str) -> dict[str, Any]:
    return {"name": name, "curl": f'curl "$BASE{path}"', "expect": {"status": 200, "body": body}}


GREETS = _check("it greets", "/", "^hello")


@dataclass(frozen=True)
class Kind:
    """A service: its name, its files, its `build` and checks, and the file of the line that tests change."""

    name: str
    files: dict[str, str]
    build: dict[str, Any]
    main: str
    checks: tuple[dict[str, Any], ...] = (GREETS,)

    @property
    def source(self) -> str:
        """The file that holds the greeting."""
        return next(name for name, text in self.files.items() if "hello" in text)


MAVEN = Kind(
    "orders",
    {"pom.xml": POM, "src/main/java/orders/Main.java": JAVA},
    {"run": "mvn -q -B package", "jar": "target/app.jar", "inputs": ["pom.xml", "src"]},
    "orders.Main",
    (
        GREETS,
        _check("its native library loads", "/sqlite", r"^3\.46\.1$"),
        _check("it is in UTF-8", "/encodings", "^UTF-8 UTF-8$"),
    ),
)
DEPS_EDN = Kind(
    "prices",
    {"deps.edn": DEPS, "build.clj": BUILD, "src/prices/main.clj": CLOJURE},
    {"run": "clojure -T:build uber", "jar": "target/app.jar"},
    "prices.main",
)


class JvmService(Project):
    """A project of one such service, on this machine's Docker or on its Minikube; `programs` is a folder for the PATH."""

    def __init__(self, folder: Path, kind: Kind, where: str, programs: Path) -> None:
        self.begin(folder, where)
        self.of, self.kind, self.port = kind.name, kind, free_port()
        self.env = {"PATH": f"{programs}:{os.environ['PATH']}"}
        if where == "local":
            self.environment()
        service = {
            "name": kind.name,
            "port": 8080,
            "build": kind.build,
            "health": {"ready": "/"},
            "checks": kind.checks,
        }
        own = {"service.yaml": json.dumps(service), "Dockerfile": DOCKERFILE.replace("MAIN", kind.main)}
        for name, text in {**kind.files, **own}.items():
            (self.service / name).parent.mkdir(parents=True, exist_ok=True)
            (self.service / name).write_text(text)

    def remove(self) -> None:
        """Take it away, with everything that it left."""
        self.invoke("down", "--purge")
        if self.where == "minikube":
            subprocess.run(["kubectl", "delete", "namespace", self.name, "--wait=false"], check=False)
        self.purge()
