"""The project's own checks, for those who work on Slipway: test, lint, bench."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from invoke import Context, Exit, task

from tasks.paths import ROOT


def _lab(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/lab/test_{name}.py" for name in names)


BOTH = "test_helping_hands.py or test_other_builders.py"  # are of this machine and of the Minikube
# By suite, the words for pytest of each of its parts, which run side by side, since they wait as much as they work.
# `cluster` begins with what waits most and ends with what asks for steady rates.
SUITES: dict[str, dict[str, tuple[str, ...]]] = {
    "tests": {
        "integration": ("tests/integration", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"),
        "unit": ("tests/unit", "-n", "2"),
    },
    "lab": {
        "hosts": (
            *_lab("a_fresh_machine", "walk", "walk_faults", "interrupted_builds", "helping_hands", "layers"),
            *_lab("jar_layer", "base_layers", "base_of_a_jvm", "base_of_packages", "lein", "recompiled_jars", "watch"),
            *_lab("other_builders", "take_over", "exposed", "a_server", "an_ssh_host"),
            *("-k", f"not (({BOTH}) and minikube)"),
        ),
        "cluster": (
            *_lab("causes", "judges", "cluster", "dev_pod", "an_earlier_version", "up", "walkthrough", "scaling"),
            *_lab("other_builders", "helping_hands"),
            *("-k", f"not (({BOTH}) and local)"),
        ),
    },
}
FLAGS = {"tests": ("-q",), "lab": ("-v", "--timeout", "1800", "--durations", "30")}
SHORT = ("-m", "not long")


@task(
    positional=[],
    auto_shortflags=False,
    help={"lab": "also run the suite that needs the test lab", "all": "with --lab: its longest tests too"},
)
def test(_: Context, *, lab: bool = False, all_: bool = False) -> None:  # noqa: PT028  a task, not a test
    """Run the project's tests and count what passed, failed and was skipped, suite by suite.

    Examples:
      ./invoke test
      ./invoke test --lab
      ./invoke test --lab --all

    """
    if all_ and not lab:
        raise Exit("--all is about the lab's tests: add --lab", code=2)
    prepare()
    totals, failures = {"passed": 0, "failed": 0, "skipped": 0}, list[str]()
    for suite in SUITES if lab else ["tests"]:
        counts, failed = _suite(suite, FLAGS[suite] if all_ else (*FLAGS[suite], *SHORT))
        totals = {key: totals[key] + counts[key] for key in totals}
        failures += failed
    print(*failures, _text(totals), sep="\n", flush=True)  # noqa: T201  the task's answer; scripts read its last line
    if totals["failed"] or not totals["passed"]:
        raise Exit(code=1)


def _suite(name: str, flags: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Run a suite: how many of its tests passed, failed and were skipped, and what failed. `flags` are pytest's."""
    from concurrent.futures import ThreadPoolExecutor
    from tempfile import TemporaryDirectory

    parts = SUITES[name]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(len(parts)) as pool:
        reports = [Path(folder) / f"{part}.xml" for part in parts]
        runs = [
            pool.submit(_pytest, (*words, *flags, f"--junitxml={report}"), part)
            for (part, words), report in zip(parts.items(), reports, strict=True)
        ]
        found = [_counts(report, run.result()) for run, report in zip(runs, reports, strict=True)]
        failures = [text for report in reports for text in _failures(report)]
    for part, counts in zip(parts, found, strict=True):
        print(f"suite {part}: {_text(counts)}", flush=True)  # noqa: T201  the task's answer
    return {key: sum(one[key] for one in found) for key in found[0]}, failures


def _text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _pytest(words: Sequence[str], label: str) -> int:
    """Run pytest, its lines passed on behind `label`; its exit code."""
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    out = subprocess.PIPE
    with subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, text=True) as process:
        for text in process.stdout or ():
            print(f"{label} | {text}", end="", flush=True)  # noqa: T201  the task's answer
        return process.wait()


def _counts(report: Path, code: int) -> dict[str, int]:
    """How many tests of a JUnit report passed, failed and were skipped. A pytest that ran none has failed."""
    import xml.etree.ElementTree as ET

    root = ET.parse(report).getroot().find("testsuite") if report.is_file() else None  # noqa: S314  our own
    keys = ("tests", "failures", "errors", "skipped")
    tests, failures, errors, skipped = (int(root.get(key, "0")) if root is not None else 0 for key in keys)
    failed = failures + errors or int(code != 0)
    return {"passed": tests - failures - errors - skipped, "failed": failed, "skipped": skipped}


def _failures(report: Path) -> list[str]:
    """The tests of a JUnit report that failed, each with the first lines of why."""
    import xml.etree.ElementTree as ET

    failures = []
    for case in ET.parse(report).getroot().iter("testcase") if report.is_file() else ():  # noqa: S314  our own
        for failure in (*case.findall("failure"), *case.findall("error")):
            reason = failure.get("message", "").splitlines()[:9]
            failures.append("\n    ".join([f"failed: {case.get('classname')}::{case.get('name')}", *reason]))
    return failures


BENCHMARKS = ("daily", "local", "hosts", "cluster", "soak", "walk", "fuzz")  # modules of tests/benchmarks, in order
TIMES = 10  # that a figure is measured
PROFILES, LINES = ("deploy",), ("auth", "order", "shared")


@task(
    positional=[],
    auto_shortflags=False,
    help={
        "defects": "instead, plant each defect of tests/defects and check that a test fails",
        "only": f"only these of {', '.join(BENCHMARKS)}; separated by commas",
        "times": "how often each figure of daily is measured, whose median counts",
        "profile": "instead, print where the time of one run of a command went; deploy is the only one",
        "line": f"with --profile: what a line is changed in before it: {', '.join(LINES)}; default: auth",
        "env": "with --profile: local or minikube (the lab's); default: local",
    },
)
def bench(
    _: Context,
    *,
    defects: bool = False,
    only: str = "",
    times: int = TIMES,
    profile: str = "",
    line: str = "",
    env: str = "",
) -> None:
    """Run the benchmarks, each next to a peer; exit 1 when a target is missed.

    It changes a line and deploys that here and to the lab's Minikube, beside Skaffold, prepares ten SSH hosts of the
    lab beside pyinfra and Ansible, makes and removes all services again and again, runs commands in a random order,
    and loads files with anything in them.

    Examples:
      ./invoke bench
      ./invoke bench --only daily,hosts
      ./invoke bench --only daily --times 3                            in a third of the time, less exactly
      ./invoke bench --defects
      ./invoke bench --profile deploy                                  one line changed in auth
      ./invoke bench --profile deploy --line order --env minikube

    """
    from slipway.config.models import BUILT_IN

    names = _chosen_benchmarks(only)
    if (line or env) and not profile:
        raise Exit("--line and --env are about a profile: add --profile deploy", code=2)
    if sum(map(bool, (defects, only, profile))) > 1:
        raise Exit("--defects, --only and --profile exclude each other\n  hint: give one of them", code=2)
    for flag, value, known in (("--profile", profile, PROFILES), ("--line", line, LINES), ("--env", env, BUILT_IN)):
        if value and value not in known:
            raise Exit(f"{flag} {value} is not known\n  hint: one of {', '.join(known)}", code=2)
    if times < 1:
        raise Exit(f"--times {times} is no number of times\n  hint: 1 or more; {TIMES} without it", code=2)
    prepare()
    if profile:
        from tests.benchmarks import profiled
        from tests.benchmarks.profile import text

        print(text(profiled.deploy(line or "auth", env or "local")))  # noqa: T201  the task's answer
        return
    missed = 0
    for name in ["planted"] if defects else names:
        found = import_module(f"tests.benchmarks.{name}").rows
        for row in found(times) if name == "daily" else found():
            print(row.text, flush=True)  # noqa: T201  the task's answer
            missed += not row.ok
    if missed:
        raise Exit(f"{missed} targets were missed", code=1)


def _chosen_benchmarks(only: str) -> Sequence[str]:
    """Those of `--only`, in the order of all; all without it. Raises Exit for an unknown one."""
    asked = [name.strip() for name in only.split(",") if name.strip()]
    if strange := [name for name in asked if name not in BENCHMARKS]:
        raise Exit(f"--only {', '.join(strange)} is not known\n  hint: some of {', '.join(BENCHMARKS)}", code=2)
    return [name for name in BENCHMARKS if name in asked or not asked]


@task(
    positional=[],
    auto_shortflags=False,
    help={"record": "record the runs anew first: all services are deployed to this machine's Docker, and removed"},
)
def pictures(_: Context, *, record: bool = False) -> None:
    """Draw the pictures of docs/ from the recorded runs, with the live view itself.

    Examples:
      ./invoke pictures
      ./invoke pictures --record

    """
    prepare()
    from tests.pictures import draw

    if record:
        from tests.pictures import record as recording

        recording.record()
    print(*draw.draw(), sep="\n")  # noqa: T201  the task's answer


@task(positional=[], auto_shortflags=False)
def lint(_: Context) -> None:
    """Check style and types: ruff, its formatter, mypy --strict.

    Example:
      ./invoke lint

    """
    prepare()
    here = Path(sys.executable).parent
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        if subprocess.run([str(here / words[0]), *words[1:]], cwd=ROOT, check=False).returncode:
            raise Exit(code=1)


def prepare() -> None:
    """Install what tests, lint and the lab need beyond the product, once per content of requirements-dev.txt.

    What this process starts may write bytecode afterwards, whatever the shell said.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # many commands follow: what the first compiles, the others read
    wanted = ROOT / "requirements-dev.txt"
    done = Path(sys.prefix) / "requirements-dev.done"
    if done.is_file() and done.read_bytes() == wanted.read_bytes():
        return
    print("slipway: installing requirements-dev.txt (once, and when it changes)", file=sys.stderr)  # noqa: T201
    words = [sys.executable, "-m", "pip", "install", "-q", "-r", str(wanted)]
    if subprocess.run(words, check=False, cwd=ROOT).returncode:
        raise Exit("the tests' packages could not be installed", code=4)
    done.write_bytes(wanted.read_bytes())
