"""Configuration: every error is found, each with file, line and a hint, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from slipway.config.load import default_environment, load
from slipway.config.models import Service
from slipway.config.secret_sources.generated import Generate, Generated
from slipway.config.secret_sources.reference import Of
from slipway.config.versions import DockerTool
from slipway.errors import Problem
from tests.unit.config.conftest import PLAIN, errors, service

ROOT = Path(__file__).resolve().parents[3]


def test_the_projects_own_configuration_is_whole() -> None:
    config = load(ROOT)
    assert config.services["auth"].published == 8080
    assert config.services["auth"].leiningen
    assert set(config.environments) >= {"local", "minikube"}


def test_another_teams_layout_loads(team: Path) -> None:
    found = load(team).services["web"]
    assert (found.published, found.leiningen, found.config) == (9000, False, None)


@pytest.mark.parametrize("text", ["docker: {minimum: new}", "docker: {minimum: v20.10}"])
def test_a_tools_version_must_be_one(team: Path, text: str) -> None:
    (team / "config" / "tools.yaml").write_text(f"{text}\n")
    assert errors(team)[0].startswith("config/tools.yaml:1: docker.minimum")


@pytest.mark.parametrize(
    ("recipe", "error"),
    [
        ("{kind: packages, packages: [], files: [a]}", "bases.web.recipe.packages must have at least 1 item"),
        (
            "{kind: packages, packages: [p], files: [null]}",
            "bases.web.recipe.files.0 must be a string, not None · as a text: - ''",
        ),
        ("{kind: packages, packages: [a]}", "bases.web.recipe.files is missing"),
        ("{kind: packages, files: [a]}", "bases.web.recipe.packages is missing"),
        (
            "{kind: packages, packages: [a, null], files: [a]}",
            "bases.web.recipe.packages.1 must be a string, not None · as a text: - ''",
        ),
    ],
)
def test_a_key_that_is_named_as_its_kind_is_told_from_it(team: Path, recipe: str, error: str) -> None:
    (team / "config" / "images.yaml").write_text(f"bases:\n  web:\n    recipe: {recipe}\n")
    assert errors(team) == [f"config/images.yaml:3: {error}"]


@pytest.mark.parametrize("text", ["20", "20.10", "1.34.4", "1.39.0-beta.0"])
def test_a_tools_version_is_one_that_can_be_compared(text: str) -> None:
    assert Version(DockerTool.model_validate({"minimum": text}).minimum) > Version("1")


BUILT = "name: web\nport: 9000\n"
CHECK = "checks:\n  - name: x\n    curl: {curl}\n    expect: {{status: 200}}\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (PLAIN + "helth: {}\n", "apps/web/service.yaml:4: unknown key helth · did you mean health?"),
        (PLAIN + "zzz: 1\n", "apps/web/service.yaml:4: unknown key zzz"),
        ("name: web\nport: http\n", "apps/web/service.yaml:2: port must be a whole number, not 'http'"),
        ("name: web\nport: 70000\n", "apps/web/service.yaml:2: port must be at most 65535, not 70000"),
        ("name: web\nport: 1\nport: 2\n", "apps/web/service.yaml:3: found duplicate key"),
        ("name: web\n  port: 1\n", "apps/web/service.yaml:2: mapping values are not allowed here"),
        ("- 1\n", "apps/web/service.yaml:1: must be a mapping · lines of `key: value`"),
        ("name: api\n", "apps/web/service.yaml:1: name is api, but the folder is web · rename one of them"),
        ("name: Web\n", "apps/web/service.yaml:1: name: 'Web' is not a DNS label"),
        (PLAIN + "needs: [wep]\n", "apps/web/service.yaml:4: unknown service in needs: wep · did you mean web?"),
        (PLAIN + "needs: [web]\n", "apps/web/service.yaml:4: circular needs: web → web"),
        (PLAIN + "dockerfile: Nope\n", "apps/web/service.yaml:4: Nope does not exist"),
        (PLAIN + "config: conf.edn\n", "apps/web/service.yaml:4: conf.edn does not exist"),
        (PLAIN + "sources: [../lib]\n", "apps/web/service.yaml:4: ../lib does not exist · paths are relative"),
        (BUILT + "build: maven\n", "apps/web/service.yaml:3: build must be 'lein' or 'none', not 'maven'"),
        (BUILT + "build: {run: mvn}\n", "apps/web/service.yaml:3: build.jar is missing"),
        (BUILT + "build:\n  jar: t/a.jar\n  run: []\n", "apps/web/service.yaml:5: build.run must have at least 1 item"),
        (BUILT + "build:\n  jar: t/a.jar\n  run: 'mvn $X'\n", "apps/web/service.yaml:5: build.run: $X needs a shell"),
        (BUILT + "build:\n  jar: t/a.jar\n  run: a && b\n", "apps/web/service.yaml:5: build.run: & needs a shell, and none is run"),
        (BUILT + "build: {jar: t/a.jar, run: x, out: y}\n", "apps/web/service.yaml:3: unknown key build.out"),
        (BUILT + "build:\n  run: x\n  jar: ../a.jar\n", "apps/web/service.yaml:5: build.jar: '../a.jar' must be a path in the service's own"),
        (BUILT + "build:\n  run: x\n  jar: a.jar\n", "apps/web/service.yaml:3: build: jar: 'a.jar' must be in a folder that the build"),
        (BUILT + "build:\n  run: x\n  jar: src/a.jar\n  inputs: [src]\n", "apps/web/service.yaml:3: build: jar: src/a.jar is in one of its own"),
        (BUILT + "build:\n  run: x\n  jar: t/a.jar\n  inputs:\n    - srk\n", "apps/web/service.yaml:7: srk does not exist · paths"),
        (BUILT + "build:\n  run: x\n  jar: t/a.jar\n  inputs: [src/*.clj]\n", "apps/web/service.yaml:6: src/*.clj does not exist · inputs are files and folders, not patterns"),
        (BUILT + "build:\n  run: x\n  jar: t/a.jar\n  inputs:\n    - ../lib\n", "apps/web/service.yaml:7: build.inputs.0: '../lib' must be a path in the service's own folder; `sources` is for others"),
        (BUILT + "build:\n  run: x\n  jar: t/a.jar\n  inputs: [/etc]\n", "apps/web/service.yaml:6: build.inputs.0: '/etc' must be a path in the service's own"),
        (BUILT + "build:\n  run: x\n  jar: t/a.jar\n  inputs: [t/gen]\n", "apps/web/service.yaml:3: build: inputs: t/gen is in the folder of the jar"),
        (BUILT + "build:\n  run: x\n  jar: t/a.war\n", "apps/web/service.yaml:3: build: jar: the name of 't/a.war' must end with .jar"),
        (BUILT + "build:\n  jar: t/a.jar\n  run: ['', x]\n", "apps/web/service.yaml:5: build.run: its first word, the program, is empty"),
        (BUILT + 'build:\n  jar: t/a.jar\n  run: [x, "\\0"]\n', "apps/web/service.yaml:5: build.run: a command can't have a NUL"),
        (PLAIN + "sources: [.]\n", "apps/web/service.yaml:4: . is in the service's own folder"),
        (PLAIN + "resources: {memory: lots}\n", "apps/web/service.yaml:4: resources.memory: 'lots' is not a size"),
        (PLAIN + "secrets: {KEY: {of: nobody}}\n", "apps/web/service.yaml:4: service nobody has no secret KEY"),
        (PLAIN + CHECK.format(curl="curl -o f $BASE"), "apps/web/service.yaml:6: x: curl's -o is not allowed in a check: it writes a file"),
        (PLAIN + CHECK.format(curl="curl $BASE/$TOKEN"), "apps/web/service.yaml:6: x: no earlier check saves $TOKEN"),
        (PLAIN + CHECK.format(curl="curl http://x/"), "apps/web/service.yaml:6: x: the URL must start with $BASE"),
        (
            PLAIN + "checks:\n  - name: x\n    curl: curl $BASE\n    expect: {json: {'$[': 1}}\n",
            "apps/web/service.yaml:7: checks.0.expect.json.$[: '$[' is not a JSONPath: unexpected end of query",
        ),
        (
            PLAIN + CHECK.format(curl="curl $BASE") + CHECK.format(curl="curl $BASE/a").removeprefix("checks:\n"),
            "apps/web/service.yaml:8: duplicate check name: x · results are recorded by name",
        ),
        (
            PLAIN + "secrets: {KEY: {of: web}}\n",
            "apps/web/service.yaml:4: service web does not generate KEY: it uses that of another service · one of them must generate it",
        ),
        (PLAIN + "replicas: true\n", "apps/web/service.yaml:4: replicas must be a whole number, not True"),
        (PLAIN + "replicas: '2'\n", "apps/web/service.yaml:4: replicas must be a whole number, not '2'"),
        (PLAIN + "autoscale: {max: true}\n", "apps/web/service.yaml:4: autoscale.max must be a whole number, not True"),
        (PLAIN + "autoscale: {max: 2, cpu: true}\n", "apps/web/service.yaml:4: autoscale.cpu must be a whole number"),
        (PLAIN + "resources: {memory: true}\n", "apps/web/service.yaml:4: resources.memory must be a string, not True"),
        (
            PLAIN + CHECK.format(curl="curl $BASE").replace("status: 200", "within: true"),
            "apps/web/service.yaml:7: checks.0.expect.within must be a number, not True",
        ),
        (PLAIN + "health: {ready: /r, exec: [x]}\n", "apps/web/service.yaml:4: health: use either paths or exec"),
    ],
)  # fmt: skip
def test_an_error_is_reported_with_its_file_and_line(team: Path, text: str, error: str) -> None:
    service(team, "web", text)
    assert any(line.startswith(error) for line in errors(team)), errors(team)


@pytest.mark.parametrize("run", ["[mvn, -q, '-Drevision=1 2', 3]", 'mvn -q "-Drevision=1 2" 3'])
def test_a_builder_is_words_or_a_line_of_them(team: Path, run: str) -> None:
    service(team, "web", BUILT + f"build: {{run: {run}, jar: ./target/app.jar, inputs: [Dockerfile]}}\n")
    found = load(team).services["web"]
    assert found.builder
    assert found.builder.run == ("mvn", "-q", "-Drevision=1 2", "3")
    assert (found.builder.jar, found.has_jar, found.leiningen) == ("target/app.jar", True, False)


def test_sources_may_be_files(team: Path) -> None:
    (team / "versions.edn").touch()
    service(team, "web", PLAIN + "sources: [../../versions.edn]\n")
    assert load(team).services["web"].shared == (team / "versions.edn",)


def test_a_duplicate_key_is_named_and_its_values_are_not(team: Path) -> None:
    service(team, "web", PLAIN + "env: {KEY: hunter2, KEY: hunter3}\n")
    assert errors(team) == ['apps/web/service.yaml:4: found duplicate key "KEY"']


def test_a_bare_number_is_a_quantity_too(team: Path) -> None:
    service(team, "web", PLAIN + "resources: {cpu: 2, memory: 268435456}\n")
    resources = load(team).services["web"].resources
    assert (resources.cpu, resources.memory) == ("2", "268435456")
    service(team, "web", PLAIN + "resources: {cpu: 0.5}\n")
    assert load(team).services["web"].resources.cpu == "0.5"


def test_a_service_whose_file_has_an_error_is_still_one_that_others_may_name(team: Path) -> None:
    service(team, "web", PLAIN + "needs: [api]\nsecrets: {KEY: {of: api}}\n")
    service(team, "api", "name: api\nbuild: none\nport: nine\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("services: {api: {replicas: 2}}\ncluster: {}\n")
    assert [line.partition(": ")[0] for line in errors(team)] == ["apps/api/service.yaml:3"]


def test_all_errors_in_all_files_are_reported_at_once(team: Path) -> None:
    service(team, "web", PLAIN + "helth: 1\nprot: 2\n")
    service(team, "api", "name: api\nbuild: none\nport: nine\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("docker: box1\nservices: {wep: {replicas: 2}}\n")
    found = "\n".join(errors(team))
    for part in (
        "unknown key helth",
        "unknown key prot",
        "port must be",
        "unknown service: wep",
        "box1 is not in hosts",
    ):
        assert part in found


def test_what_names_a_service_where_the_services_folder_has_none_is_told_so(team: Path) -> None:
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("services: {web: {replicas: 2}}\ncluster: {}\n")
    (team / "config" / "slipway.yaml").write_text("name: shop\nshort: sh\nservices: config\n")
    shown = "\n".join(errors(team))
    assert "staging.yaml:1: unknown service: web" in shown
    assert "config:1: the services folder has no services · a service is a folder" in shown


def test_the_services_folder_is_not_named_by_nothing(team: Path) -> None:
    (team / "config" / "slipway.yaml").write_text("name: shop\nshort: sh\nservices: ''\n")
    assert "slipway.yaml:3: services: string should have at least 1 character, not ''" in "\n".join(errors(team))


def test_a_settings_folder_replaces_files_one_by_one(team: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    (over / "environments").mkdir(parents=True)
    (over / "environments" / "local.yaml").write_text("services: {web: {publish: 9100, env: {N: 1}}}\n")
    config = load(team, settings=over)
    found = config.service_for(config.environments["local"], "web")
    assert (config.project.name, found.published, found.env) == ("shop", 9100, {"N": "1"})


def test_the_default_environment_is_local_until_one_is_chosen(tmp_path: Path) -> None:
    assert default_environment(tmp_path) == "local"
    (tmp_path / ".slipway").mkdir()
    (tmp_path / ".slipway" / "environment").write_text("minikube\n")
    assert default_environment(tmp_path) == "minikube"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="nameport:{}[]-&*!|>'\"# \n\t0a", max_size=60))
def test_no_text_gives_anything_but_a_problem(team: Path, text: str) -> None:
    service(team, "web", text)
    try:
        load(team)
    except Problem as problem:
        assert "service.yaml:" in problem.details  # noqa: PT017  either outcome is fine, another error is not


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "secrets: {KEY: hunter2}",
            "secrets.KEY must be one of '{generate: …}', '{of: …}' · `KEY: {generate: {}}`, or `secrets: [KEY]`, is generated; `KEY: {of: SERVICE}` is another's",
        ),
        (
            "secrets: {KEY: {generate: {}, of: db}}",
            "secrets.KEY must be one of '{generate: …}', '{of: …}' · `KEY: {generate: {}}`, or `secrets: [KEY]`, is generated; `KEY: {of: SERVICE}` is another's",
        ),
        (
            "secrets: {KEY: {vault: x}}",
            "secrets.KEY must be one of '{generate: …}', '{of: …}' · `KEY: {generate: {}}`, or `secrets: [KEY]`, is generated; `KEY: {of: SERVICE}` is another's",
        ),
        ("secrets: {KEY: {generate: {bytes: 4}}}", "secrets.KEY.generate.bytes must be at least 8"),
        ("secrets: {KEY: {generate: {byte: 4}}}", "unknown key secrets.KEY.generate.byte · did you mean bytes?"),
        ("secrets: {key: {of: db}}", "secrets.key must be text that matches ^[A-Z_][A-Z0-9_]*$, not 'key'"),
        ("build: maven", "build must be 'lein' or 'none', not 'maven'"),
        ("replicas: 0", "replicas must be at least 1, not 0"),
        ("storage: {data: {path: data}}", "storage.data.path: 'data' is not an absolute path such as /var/lib/data"),
        (
            "secrets: {KEY: {}}",
            "secrets.KEY must be one of '{generate: …}', '{of: …}' · `KEY: {generate: {}}`, or `secrets: [KEY]`, is generated; `KEY: {of: SERVICE}` is another's",
        ),
        (
            "secrets: {KEY: }",
            "secrets.KEY must be one of '{generate: …}', '{of: …}' · `KEY: {generate: {}}`, or `secrets: [KEY]`, is generated; `KEY: {of: SERVICE}` is another's",
        ),
        (
            "secrets: {KEY: {env: KEY}}",
            "secrets.KEY must be one of '{generate: …}', '{of: …}' · that is for an environment's file; here: `KEY: {generate: {}}`",
        ),
        ("secrets: [key]", "secrets must be text that matches ^[A-Z_][A-Z0-9_]*$, not 'key'"),
        (
            "secrets: KEY",
            "secrets must be a mapping · for example `secrets: [NAME]` or `secrets: {NAME: {generate: {}}}`",
        ),
        ("env: [A=1]", "env must be a mapping, not ['A=1'] · for example `env: {LOG_LEVEL: info}`"),
        (
            "health: /ready",
            "health must be a mapping, not '/ready' · for example `health: {ready: /health/ready}` or `health: {exec: [pg_isready]}`",
        ),
        (
            "health: {exec: pg_isready}",
            "health.exec must be a list, not 'pg_isready' · for example `exec: [pg_isready, --quiet]`",
        ),
        (
            "checks: [{name: x, curl: curl $BASE, expect: 200}]",
            "checks.0.expect must be a mapping, not 200 · for example `expect: {status: 200}`",
        ),
        ("storage: {data: }", "storage.data.path is missing"),
        ("start_within: 180", "start_within: '180' is not a duration such as 180s or 3m, of at most 60m"),
        ("needs: web", "needs must be a list, not 'web' · for example `needs: [auth]`"),
    ],
)
def test_an_error_is_in_plain_words_and_shows_no_secret(team: Path, text: str, error: str) -> None:
    service(team, "web", f"name: web\nport: 9000\n{text}\n")
    assert errors(team) == [f"apps/web/service.yaml:3: {error}"]


def test_a_secret_of_an_environment_says_where_each_form_belongs(team: Path) -> None:
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "local.yaml").write_text("secrets:\n  A: {generate: {}}\n  B:\n")
    form = "must be one of '{env: …}', '{file: …}'"
    assert errors(team) == [
        f"config/environments/local.yaml:2: secrets.A {form} · that is for service.yaml; here: `A: {{env: VARIABLE}}`",
        f"config/environments/local.yaml:3: secrets.B {form} · `B: {{env: VARIABLE}}`, or `B: {{file: PATH}}`",
    ]


@pytest.mark.parametrize("form", ["[A, {B: {of: db}}]", "{A: {generate: {}}, B: {of: db}}"])
def test_a_list_of_secrets_is_short_for_generated_ones(team: Path, form: str) -> None:
    service(team, "web", PLAIN + f"secrets: {form}\n")
    service(team, "db", "name: db\nbuild: none\nport: 5432\nsecrets: [B]\n")
    assert load(team).services["web"].secrets == {"A": Generated(generate=Generate()), "B": Of(of="db")}


def test_an_empty_section_is_as_if_it_were_not_there(team: Path) -> None:
    sections = [
        "env",
        "secrets",
        "checks",
        "needs",
        "storage",
        "sources",
        "health",
        "autoscale",
        "resources",
        "config",
        "image",
        "publish",
    ]
    service(team, "web", PLAIN + "".join(f"{name}:\n  # nothing yet\n" for name in sections))
    (team / "config" / "environments").mkdir()
    file = team / "config" / "environments" / "local.yaml"
    file.write_text(
        "secrets:\ndocker:\ncluster:\nservices:\n  web:\n    # replicas: 2\n  db:\n    env:\n    replicas:\n"
    )
    service(team, "db", "name: db\nbuild: none\nport: 5432\nreplicas: 2\nenv: {A: b}\n")
    (team / "config" / "hosts.yaml").write_text("hosts:\n")
    (team / "config" / "tools.yaml").write_text("docker:\n")
    (team / "config" / "images.yaml").write_text("# nothing\n")
    config = load(team)
    web = config.services["web"]
    assert web == Service(name="web", port=9000, build="none", folder=web.folder)
    local = config.environments["local"]
    assert config.service_for(local, "web") == web
    assert config.service_for(local, "db") == config.services["db"]


def test_keys_for_anchors_are_allowed_at_the_top(team: Path) -> None:
    service(team, "web", PLAIN + "x-common: &common {A: 1.10}\nenv: {<<: *common, B: b}\n")
    (team / "config" / "slipway.yaml").write_text("x-team: {}\nname: shop\nshort: sh\nservices: apps\n")
    assert load(team).services["web"].env == {"B": "b", "A": "1.10"}


@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 3000, "["])
def test_a_pattern_that_no_regular_expression_can_be_is_refused(team: Path, pattern: str) -> None:
    service(team, "web", PLAIN + f"checks: [{{name: x, curl: curl $BASE, expect: {{body: '{pattern}'}}}}]\n")
    assert "is not a regular expression" in errors(team)[0]


@pytest.mark.parametrize("version", ["v1.34.4", "1.34", "latest", "1.34.4-rc.1"])
def test_a_kubernetes_version_is_three_numbers(team: Path, version: str) -> None:
    (team / "config" / "environments").mkdir()
    file = team / "config" / "environments" / "minikube.yaml"
    file.write_text(f"cluster:\n  kubernetes: '{version}'\n")
    assert errors(team) == [
        f"config/environments/minikube.yaml:2: cluster.kubernetes: '{version}' is not a version such as 1.34.4"
    ]
