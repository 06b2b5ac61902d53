"""Configuration: every fault is found, each with file, line and a hint, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.config.cross_checks import cycles
from slipway.config.load import default_environment, load
from slipway.errors import Problem, UsageError

ROOT = Path(__file__).resolve().parents[3]
PLAIN = "name: web\nport: 9000\nbuild: none\n"


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another team's project: one service without Clojure's usual files."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "slipway.yaml").write_text("name: shop\nshort: sh\nservices: apps\n")
    service(tmp_path, "web", PLAIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def service(team: Path, name: str, text: str) -> None:
    folder = team / "apps" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "service.yaml").write_text(text)


def faults(team: Path) -> list[str]:
    with pytest.raises(Problem) as caught:
        load(team)
    assert isinstance(caught.value, UsageError)
    return caught.value.details.splitlines()


def test_the_projects_own_configuration_is_whole() -> None:
    config = load(ROOT)
    assert config.services["auth"].published == 8080
    assert config.services["auth"].leiningen
    assert set(config.environments) >= {"local", "minikube"}


def test_another_teams_layout_loads(team: Path) -> None:
    found = load(team).services["web"]
    assert (found.published, found.leiningen, found.config) == (9000, False, None)


CHECK = "checks:\n  - name: x\n    curl: {curl}\n    expect: {{status: 200}}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLAIN + "helth: {}\n", "apps/web/service.yaml:4: unknown key helth · did you mean health?"),
        (PLAIN + "zzz: 1\n", "apps/web/service.yaml:4: unknown key zzz"),
        ("name: web\nport: http\n", "apps/web/service.yaml:2: port must be a whole number, not 'http'"),
        ("name: web\nport: 70000\n", "apps/web/service.yaml:2: port: input should be less than or equal to 65535"),
        ("name: web\nport: 1\nport: 2\n", "apps/web/service.yaml:3: found duplicate key"),
        ("name: web\n  port: 1\n", "apps/web/service.yaml:2: mapping values are not allowed here"),
        ("- 1\n", "apps/web/service.yaml:1: it must be keys and values"),
        ("name: api\n", "apps/web/service.yaml:1: name is api in folder web"),
        ("name: Web\n", "apps/web/service.yaml:1: name: 'Web' is not a DNS label"),
        (PLAIN + "needs: [wep]\n", "apps/web/service.yaml:4: needs wep, which is no service"),
        (PLAIN + "needs: [web]\n", "apps/web/service.yaml:4: needs go in a circle: web → web"),
        (PLAIN + "dockerfile: Nope\n", "apps/web/service.yaml:4: Nope is not there"),
        (PLAIN + "config: conf.edn\n", "apps/web/service.yaml:4: conf.edn is not there"),
        (PLAIN + "sources: [../lib]\n", "apps/web/service.yaml:4: ../lib is no folder"),
        (PLAIN + "sources: [.]\n", "apps/web/service.yaml:4: . is the service's own"),
        (PLAIN + "resources: {memory: lots}\n", "apps/web/service.yaml:4: resources.memory: 'lots' is not a size"),
        (PLAIN + "secrets: {KEY: {of: nobody}}\n", "apps/web/service.yaml:4: service nobody has no secret KEY"),
        (PLAIN + CHECK.format(curl="curl -o f $BASE"), "apps/web/service.yaml:6: x: curl's -o is not allowed in a check: it writes a file"),
        (PLAIN + CHECK.format(curl="curl $BASE/$TOKEN"), "apps/web/service.yaml:6: x: $TOKEN is saved by no check before it"),
        (PLAIN + CHECK.format(curl="curl http://x/"), "apps/web/service.yaml:6: x: the URL must start with $BASE"),
        (
            PLAIN + "checks:\n  - name: x\n    curl: curl $BASE\n    expect: {json: {'$[': 1}}\n",
            "apps/web/service.yaml:7: checks.0.expect.json.$[.[key]: '$[' is not a JSONPath: unexpected end of query",
        ),
        (
            PLAIN + CHECK.format(curl="curl $BASE") + CHECK.format(curl="curl $BASE/a").removeprefix("checks:\n"),
            "apps/web/service.yaml:8: x: another check has this name · a result is kept by its name",
        ),
        (
            PLAIN + "secrets: {KEY: {of: web}}\n",
            "apps/web/service.yaml:4: service web takes KEY from another service itself · one of them generates it",
        ),
        (PLAIN + "replicas: true\n", "apps/web/service.yaml:4: replicas must be a whole number, not True"),
        (PLAIN + "replicas: '2'\n", "apps/web/service.yaml:4: replicas must be a whole number, not '2'"),
        (PLAIN + "autoscale: {max: true}\n", "apps/web/service.yaml:4: autoscale.max must be a whole number, not True"),
        (PLAIN + "autoscale: {max: 2, cpu: true}\n", "apps/web/service.yaml:4: autoscale.cpu must be a whole number"),
        (PLAIN + "resources: {memory: true}\n", "apps/web/service.yaml:4: resources.memory must be text, not True"),
        (
            PLAIN + CHECK.format(curl="curl $BASE").replace("status: 200", "within: true"),
            "apps/web/service.yaml:7: checks.0.expect.within must be a number, not True",
        ),
        (PLAIN + "health: {ready: /r, exec: [x]}\n", "apps/web/service.yaml:4: health: health is either paths or exec"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_file_and_line(team: Path, text: str, fault: str) -> None:
    service(team, "web", text)
    assert any(line.startswith(fault) for line in faults(team)), faults(team)


def test_a_key_that_is_there_twice_is_named_and_its_values_are_not(team: Path) -> None:
    service(team, "web", PLAIN + "env: {KEY: hunter2, KEY: hunter3}\n")
    assert faults(team) == ['apps/web/service.yaml:4: found duplicate key "KEY"']


def test_a_secret_of_a_service_that_takes_it_from_another_names_the_one_that_makes_it(team: Path) -> None:
    service(team, "web", PLAIN + "secrets: {KEY: {of: api}}\n")
    service(team, "api", "name: api\nbuild: none\nsecrets: {KEY: {of: db}}\n")
    service(team, "db", "name: db\nbuild: none\nport: 5432\nsecrets: {KEY: {generate: {}}}\n")
    assert faults(team) == ["apps/web/service.yaml:4: service api takes KEY from another service itself · of: db"]


def test_a_bare_number_is_a_quantity_too(team: Path) -> None:
    service(team, "web", PLAIN + "resources: {cpu: 2, memory: 268435456}\n")
    resources = load(team).services["web"].resources
    assert (resources.cpu, resources.memory) == ("2", "268435456")
    service(team, "web", PLAIN + "resources: {cpu: 0.5}\n")
    assert load(team).services["web"].resources.cpu == "0.5"


def test_a_service_whose_file_has_a_fault_is_still_one_that_others_may_name(team: Path) -> None:
    service(team, "web", PLAIN + "needs: [api]\nsecrets: {KEY: {of: api}}\n")
    service(team, "api", "name: api\nbuild: none\nport: nine\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("services: {api: {replicas: 2}}\n")
    assert [line.partition(": ")[0] for line in faults(team)] == ["apps/api/service.yaml:3"]


def test_all_faults_of_all_files_come_at_once(team: Path) -> None:
    service(team, "web", PLAIN + "helth: 1\nprot: 2\n")
    service(team, "api", "name: api\nbuild: none\nport: nine\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text("host: box1\nservices: {wep: {replicas: 2}}\n")
    found = "\n".join(faults(team))
    for part in ("unknown key helth", "unknown key prot", "port must be", "wep is no service", "box1 is not in hosts"):
        assert part in found


def test_two_services_on_one_port_are_told_a_free_one(team: Path) -> None:
    service(team, "api", "name: api\nbuild: none\nport: 9000\n")
    assert faults(team) == ["apps/web/service.yaml:2: api publishes 9000 too · publish: 9001 is free"]


@pytest.mark.parametrize(
    ("services", "fault"),
    [
        ("{api: {publish: 9500}, web: {publish: 9500}}", "3: api publishes 9500 too · publish: 9501 is free"),
        ("{web: {publish: 9100}, api: {replicas: 2}}", "2: api publishes 9100 too · publish: 9101 is free"),
        ("{web: {publish: 9100}, api: {publish: 9000}}", ""),
        ("{wep: {publish: 9100}}", "2: wep is no service · did you mean web?"),
    ],
)
def test_ports_are_compared_as_each_environment_has_them(team: Path, services: str, fault: str) -> None:
    service(team, "api", "name: api\nbuild: none\nport: 9100\n")
    (team / "config" / "environments").mkdir()
    text = "services:\n  " + services[1:-1].replace("}, ", "}\n  ") + "\n"
    (team / "config" / "environments" / "local.yaml").write_text(text)
    if fault:
        assert faults(team) == [f"config/environments/local.yaml:{fault}"]
    else:
        assert load(team).services["api"].published == 9100


def test_a_settings_folder_replaces_files_one_by_one(team: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    (over / "environments").mkdir(parents=True)
    (over / "environments" / "local.yaml").write_text("services: {web: {publish: 9100, env: {N: 1}}}\n")
    config = load(team, settings=over)
    found = config.service_for(config.environments["local"], "web")
    assert (config.project.name, found.published, found.env) == ("shop", 9100, {"N": "1"})


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"a": ("b",), "b": ()}, []),
        ({"a": ("b",), "b": ("a",)}, [["a", "b", "a"]]),
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, [["a", "b", "c", "a"]]),
    ],
)
def test_circles_of_needs_are_found_once(needs: dict[str, tuple[str, ...]], expected: list[list[str]]) -> None:
    assert cycles(needs) == expected


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
    ("text", "fault"),
    [
        ("kind: [\n", "own.yaml:2: "),
        ("a: 1\n---\n- b\n", "own.yaml:1: an object lacks apiVersion, kind, metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: x}\n---\napiVersion: v1\n", "own.yaml:5: an object lacks kind"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  A: not base64!\n", "own.yaml:5: data.A must be"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {A: 5}\n", "stringData.A must be text"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: x, labels: }\n", "metadata.labels must be keys and values"),
    ],
)
def test_a_fault_in_a_services_own_manifest_is_named_by_its_line(team: Path, text: str, fault: str) -> None:
    own = team / "apps" / "web" / "manifests" / "own.yaml"
    own.parent.mkdir()
    own.write_text(text)
    assert fault in faults(team)[0]


@pytest.mark.parametrize("version", ["v1.34.4", "1.34", "latest", "1.34.4-rc.1"])
def test_a_kubernetes_version_is_three_numbers(team: Path, version: str) -> None:
    (team / "config" / "environments").mkdir()
    file = team / "config" / "environments" / "minikube.yaml"
    file.write_text(f"cluster:\n  kubernetes: '{version}'\n")
    assert faults(team) == [
        f"config/environments/minikube.yaml:2: cluster.kubernetes: '{version}' is not a version such as 1.34.4"
    ]
