"""What is in a build context and in the source digest: held against Git itself and against Docker's own client."""

from __future__ import annotations

import io
import os
import shutil
import socketserver
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import UsageError
from slipway.images.build_context import build_context, context_files
from slipway.images.git_files import unignored_files
from slipway.images.source_digest import digest, source_files

FEW = settings(max_examples=25, deadline=None)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def git(folder: Path, *words: str, **options: bytes) -> bytes:
    command = ("git", "-C", str(folder), "-c", "user.name=ann", "-c", "user.email=ann@example.org", *words)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A service of a repository: Docker's part alone builds it."""
    git(tmp_path, "init", "-q")
    return write(tmp_path / "services/auth", {"Dockerfile": "FROM busybox\nCOPY . /app\n", "run.sh": "#!/bin/sh\n"})


def names(folder: Path, dockerfile: str = "Dockerfile") -> set[str]:
    """The files in the tar that Docker gets."""
    content = build_context(folder, dockerfile, "0" * 16, None, context_files(folder, dockerfile))
    with tarfile.open(fileobj=io.BytesIO(content)) as context:
        return set(context.getnames())


@pytest.mark.parametrize(
    "rules",
    [
        {".gitignore": ".env\n"},
        {"services/.gitignore": ".env\n"},
        {"services/auth/.gitignore": ".env\n"},
        {"services/auth/conf/.gitignore": ".env\n", "services/auth/.gitignore": "/.env\n"},
        {".git/info/exclude": ".env\n"},
        {"services/auth/.gitignore": b"\xef\xbb\xbf.env\n"},
        {"services/auth/.gitignore": b"# l\xf6sche\r\n.env\r\n"},
    ],
)
def test_no_file_that_git_ignores_gets_into_an_image(service: Path, rules: dict[str, str | bytes]) -> None:
    write(service.parents[1], rules)
    before = digest(service, (), source_files(service))
    write(service, {".env": "KEY=1", "conf/.env": "KEY=2", "conf/a.edn": "{}"})
    assert not {name for name in names(service) if name.endswith(".env")}
    assert "conf/a.edn" in names(service)
    (service / "conf/a.edn").unlink()
    assert digest(service, (), source_files(service)) == before


def test_what_a_user_has_git_ignore_everywhere_is_ignored(
    service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"home/ignore": "*.key\n", "home/config": f"[core]\nexcludesFile = {tmp_path}/home/ignore\n"})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home/config"))
    write(service, {"tls.key": "x"})
    assert names(service) == {"Dockerfile", "run.sh"}


def test_a_tracked_file_counts_whatever_the_rules_say_and_a_deleted_one_does_not(service: Path) -> None:
    write(service, {".gitignore": "lib/\n", "lib/kept.jar": "x", "lib/other.jar": "x", "gone": "x"})
    git(service, "add", "--force", "lib/kept.jar", "gone")
    (service / "gone").unlink()
    assert {name for name in names(service) if name.startswith(("lib", "gone"))} == {"lib/kept.jar"}


def test_a_repository_within_is_read_by_its_own_rules(service: Path) -> None:
    write(service, {"lib/.gitignore": "*.out\n", "lib/a.clj": "x", "lib/b.out": "x"})
    git(service / "lib", "init", "-q")
    assert {name for name in names(service) if name.startswith("lib")} == {"lib/.gitignore", "lib/a.clj"}


def test_git_is_asked_for_this_folder_even_in_a_hook(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(service)
    for name, value in {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_WORK_TREE": "."}.items():
        monkeypatch.setenv(name, value)
    write(service, {".gitignore": "secret\n", "secret": "x"})
    assert names(service) == before | {".gitignore"}


def test_shared_folders_of_any_place_are_read(service: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beside = write(service.parent / "lib[1]", {"a.clj": "x", "b.out": "x", ".gitignore": "*.out\n"})
    elsewhere = write(tmp_path_factory.mktemp("lib"), {"c.clj": "x", "d.out": "x", ".gitignore": "*.out\n"})
    for folders in ((service, beside), (service, beside, elsewhere), (service / "../auth", beside)):
        found = [set(listed) - {".gitignore"} for listed in unignored_files(*folders)]
        assert found == [{"Dockerfile", "run.sh"}, {"a.clj"}, {"c.clj"}][: len(folders)]


@pytest.mark.parametrize("without", ["git", "repository", "anything unignored"])
def test_without_git_the_folders_own_rules_count(service: Path, without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        service,
        {".gitignore": b"\xef\xbb\xbf.env\n# l\xf6sche\n!\n[z-a]\nout/\n", ".env": "x", "out/a": "x", "b/.env": "x"},
    )
    if without == "git":
        monkeypatch.setenv("PATH", "")
    elif without == "repository":
        shutil.rmtree(service.parents[1] / ".git")
    else:
        write(service.parents[1], {".gitignore": "services/\n"})
    assert names(service) == {"Dockerfile", "run.sh", ".gitignore"}


def test_a_repository_that_git_cannot_read_is_an_error_in_its_words(service: Path) -> None:
    write(service.parents[1], {".git/index": "broken"})
    with pytest.raises(UsageError, match="Git can't list the files") as caught:
        source_files(service)
    assert "index" in caught.value.details


def test_file_names_of_any_bytes(service: Path) -> None:
    odd = os.fsdecode(b"l\xf6sche \xe2\x82\xac\nx")
    before = digest(service, (), source_files(service))
    write(service, {odd: "x"})
    assert digest(service, (), source_files(service)) != before
    assert odd in names(service)


def test_a_file_that_cannot_be_read_is_named(service: Path) -> None:
    (service / "loop").symlink_to("loop")
    source_files(service)
    with pytest.raises(UsageError, match="gone can't be read"):
        digest(service, (), [service / "gone"])


IGNORED = [
    "*.pem",
    "!keep.pem",
    "/a/",
    "a/b",
    "**/c",
    "b/**",
    "!b/c/",
    "x?",
    "[ab].txt",
    "# no",
    r"\#yes",
    "c/",
    "d ",
    "",
]
TREE = [
    f"{folder}{name}" for folder in ("", "a/", "a/b/", "b/c/", "c/") for name in ("x1", "keep.pem", "a.txt", "#yes")
]


@FEW
@given(
    at=st.dictionaries(
        st.sampled_from(["", "s/", "s/a/", "s/b/"]), st.lists(st.sampled_from(IGNORED), max_size=4), max_size=3
    ),
    exclude=st.lists(st.sampled_from(IGNORED), max_size=2),
    tracked=st.sets(st.sampled_from(TREE), max_size=3),
    bom=st.booleans(),
)
def test_the_files_are_those_that_git_check_ignore_does_not_name(
    at: dict[str, list[str]], exclude: list[str], tracked: set[str], bom: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        git(root, "init", "-q")
        write(root / "s", dict.fromkeys(TREE, "x"))
        for place, rules in at.items():
            write(root, {f"{place}.gitignore": ("\ufeff" if bom else "") + "\n".join(rules) + "\n"})
        write(root, {".git/info/exclude": "\n".join(exclude) + "\n"})
        if tracked:
            git(root / "s", "add", "--force", *sorted(tracked))
        every = {path.relative_to(root / "s").as_posix() for path in (root / "s").rglob("*") if path.is_file()}
        asked = "\0".join(sorted(every)).encode() + b"\0"
        command = ("git", "-C", str(root / "s"), "check-ignore", "-z", "--stdin")
        ignored = set(
            subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=False).stdout.decode().split("\0")
        )
        assert set(unignored_files(root / "s")[0]) == every - ignored


def test_no_file_of_dockerignore_gets_into_an_image_and_none_of_its_changes_rebuild(service: Path) -> None:
    write(service, {".dockerignore": "# mine\n.env\n*.pem\nnotes/\n**/*.key\n!notes/public\n", "conf/a.edn": "{}"})
    before = context_files(service, "Dockerfile")
    hidden = {".env": "DB_PASSWORD=x", "tls.pem": "x", "notes/a.txt": "x", "conf/b/c.key": "x"}
    write(service, hidden)
    assert context_files(service, "Dockerfile") == before
    write(service, {"notes/public": "x"})
    assert names(service) == {".dockerignore", "Dockerfile", "run.sh", "conf/a.edn", "notes/public"}


def test_the_dockerfile_and_its_ignore_file_are_always_sent(service: Path) -> None:
    write(service, {".dockerignore": "*\n", ".gitignore": "build.Dockerfile\n", "build.Dockerfile": "FROM x\n"})
    assert names(service) == {".dockerignore", "Dockerfile"}
    assert names(service, "build.Dockerfile") == {".dockerignore", "build.Dockerfile"}


def test_a_dockerfiles_own_ignore_file_comes_first(service: Path) -> None:
    write(service, {".dockerignore": "*\n", "docker/App": "FROM x\n", "docker/App.dockerignore": "docker/*.md\n"})
    write(service, {"docker/a.md": "x"})
    assert names(service, "docker/App") == {
        ".dockerignore", "Dockerfile", "run.sh", "docker/App", "docker/App.dockerignore"
    }  # fmt: skip


@pytest.mark.parametrize("line", ["!", "[", "a[b", "a\\"])
def test_a_line_that_docker_refuses_is_named(service: Path, line: str) -> None:
    write(service, {".dockerignore": f"{line}\n"})
    with pytest.raises(UsageError, match="invalid pattern: "):
        context_files(service, "Dockerfile")


def test_leiningens_jar_is_sent_whatever_dockerignore_says(service: Path) -> None:
    write(
        service, {".dockerignore": "target\nsrc\n", "src/a.clj": "x", "target/a.0.jar": "jar", "test/a_test.clj": "x"}
    )
    jar = service / f"target/a.{'0' * 16}.jar"
    (service / "target/a.0.jar").rename(jar)
    with tarfile.open(
        fileobj=io.BytesIO(build_context(service, "Dockerfile", "0" * 16, jar, source_files(service)))
    ) as context:
        assert set(context.getnames()) == {".dockerignore", "Dockerfile", "run.sh", "target/a.jar"}
    assert service / "src/a.clj" in source_files(service), "the jar is made from it"


def test_a_dockerfile_alone_can_copy_whatever_it_names(service: Path) -> None:
    write(
        service, {"test/a.clj": "x", "README.md": "x", "manifests/a.yaml": "x", "target/a.jar": "x", "service.yaml": ""}
    )
    assert names(service) == {
        "Dockerfile", "run.sh", "test/a.clj", "README.md", "manifests/a.yaml", "target/a.jar"
    }  # fmt: skip
    assert {path.name for path in source_files(service)} == {"Dockerfile", "run.sh"}, "Leiningen's jar has none of them"


PATTERNS = [
    *(
        "*",
        "**",
        "a",
        "a/",
        "/a/b",
        "./b/c/",
        "**/c",
        "a/**",
        "*.txt",
        "**/*.pem",
        "a/*/x1",
        "?1",
        "a/../b",
        "# no",
        " a ",
    ),
    *("", "c/x1", "a/**/x1", "keep.pem/", "b", "."),
]
EXCEPTIONS = ["!a/x1", "! a/b/", "!b/c", "!/c/keep.pem", "!*.txt", "!a/*.pem"]
BEYOND = ["**x1", "**.pem", "A", "*.PEM", "[ab].txt", "[^a].txt", r"\#yes", r"a\/x1", "a/b\\", "..", "b/c/**/keep.pem"]


def test_rules_that_docker_py_has_too_mean_the_same() -> None:
    @FEW
    @given(rules=st.lists(st.sampled_from(PATTERNS), max_size=5))
    def compare(rules: list[str]) -> None:
        write(folder, {".dockerignore": "\n".join(rules) + "\n"})
        theirs = exclude_paths(str(folder), [rule.strip() for rule in rules if rule.strip() and rule[0] != "#"])
        files = {name for name in theirs if (folder / name).is_file()}
        assert {path.relative_to(folder).as_posix() for path in context_files(folder, "Dockerfile")} == files

    with tempfile.TemporaryDirectory() as root:
        folder = write(Path(root), dict.fromkeys([*TREE, "Dockerfile"], "x"))
        compare()


class _Builder(BaseHTTPRequestHandler):
    """A Docker daemon that builds nothing, and keeps the context that it is sent."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        self.server.contexts.append(b"".join(parts))  # type: ignore[attr-defined]
        self._answer(b'{"stream": "built"}')

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        headers = {"Api-Version": "1.41", "Ostype": "linux", "Content-Type": "application/json"}
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...
    def address_string(self) -> str:
        return ""


@pytest.fixture
def builder() -> Iterator[socketserver.UnixStreamServer]:
    with (
        tempfile.TemporaryDirectory() as folder,
        socketserver.UnixStreamServer(f"{folder}/docker.sock", _Builder) as server,
    ):
        server.contexts = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def sent_by_docker(builder: socketserver.UnixStreamServer, folder: Path) -> set[str] | None:
    """The files that `docker build` sends; None where it refuses the rules."""
    command = ("docker", "-H", f"unix://{builder.server_address!s}", "build", "-q", str(folder))
    env = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": "/nowhere"}
    builder.contexts.clear()  # type: ignore[attr-defined]
    subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    for context in builder.contexts:  # type: ignore[attr-defined]
        with tarfile.open(fileobj=io.BytesIO(context)) as files:
            return {member.name for member in files if not member.isdir()}
    return None


@pytest.mark.skipif(not shutil.which("docker"), reason="Docker's client is the judge")
def test_a_context_is_what_dockers_client_sends(builder: socketserver.UnixStreamServer) -> None:
    @FEW
    @given(rules=st.lists(st.sampled_from([*PATTERNS, *EXCEPTIONS, *BEYOND]), max_size=6), bom=st.booleans())
    def compare(rules: list[str], bom: bool) -> None:
        write(folder, {".dockerignore": ("\ufeff" if bom else "") + "\r\n".join(rules) + "\n"})
        try:
            ours = {path.relative_to(folder).as_posix() for path in context_files(folder, "Dockerfile")}
        except UsageError:
            assert sent_by_docker(builder, folder) is None
        else:
            assert sent_by_docker(builder, folder) == ours

    with tempfile.TemporaryDirectory() as root:
        folder = write(Path(root), dict.fromkeys([*TREE, "Dockerfile", "A/x1"], "x"))
        compare()
