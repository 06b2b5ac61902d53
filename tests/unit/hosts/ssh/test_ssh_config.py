"""~/.ssh/config is what `ssh -G` says it is; a host is reached through the hops that ssh takes."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.config.models import HostEntry, Hosts
from slipway.config.ssh_destination import Destination
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import null_reporter
from slipway.errors import Cancelled, Problem, UsageError
from slipway.hosts.ssh import connection, openssh, ssh_config
from slipway.hosts.ssh.route import route
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import Sshd, connect, nobody, noting, sealed, serving, until

DERANDOMIZED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


def write(home: Path, text: str) -> Path:
    file = home / ".ssh" / "config"
    file.write_text(text)
    return file


def asked(host: str, *options: str) -> dict[str, list[str]] | str:
    """What the real program says; its error if it says none."""
    argv = ["ssh", "-G", *options, host]
    answer = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if answer.returncode:
        return answer.stderr
    found: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


# What a file says

names = st.sampled_from(["box", "b*", "!box", "*", "other", "10.0.0.?", '"box"'])
words = st.sampled_from(["alpha", "beta.example", "10.0.0.5", "2001:db8::7", "%h.example", '"quoted"'])
comments = st.sampled_from(["", "", " # moved", "\t"])
values = st.one_of(
    st.tuples(st.sampled_from(["HostName", "hostname ="]), words),
    st.tuples(st.just("User"), st.sampled_from(["ann", '"bob"', "c.d-e"])),
    st.tuples(st.sampled_from(["Port", "PORT="]), st.sampled_from(["22", "2222", "65535"])),
    st.tuples(st.just("ProxyJump"), st.sampled_from(["none", "a,b", "ann@a:2201", "x@[2001:db8::1]:22,b"])),
    st.tuples(st.just("ProxyCommand"), st.sampled_from(["none", "nc %h %p", 'sh -c "nc %h %p 2>/dev/null"'])),
    st.tuples(st.just("HostKeyAlias"), st.sampled_from(["Alias", "other.name"])),
    st.tuples(st.just("ConnectTimeout"), st.sampled_from(["3", "1m"])),
    st.tuples(st.just("IdentityFile"), st.sampled_from(["/keys/one", "~/two", '"/keys/a b"'])),
    st.tuples(st.just("IdentitiesOnly"), st.sampled_from(["yes", "no"])),
    st.tuples(st.just("AddressFamily"), st.sampled_from(["any", "inet", "inet6"])),
    st.tuples(st.just("BindAddress"), st.sampled_from(["127.0.0.2", "::1"])),
    st.tuples(st.just("Include"), st.sampled_from(["more", "more.d/*", "absent"])),
    st.tuples(st.just("UserKnownHostsFile"), st.sampled_from(["/k/one /k/two", "none", "~/known"])),
)
heads = st.one_of(
    names.map("Host {}".format),
    st.tuples(names, names).map(lambda two: "Host {} {}".format(*two)),
    st.sampled_from(
        [
            "Match all",
            "Match final all",
            "Match exec true",
            "Match exec false",
            'Match exec "test %n = box"',
            "Match host 10.*",
            "Match originalhost box",
            "Match user ann",
            "Match !host box",
            "Match localuser nobody",
            "Match localnetwork 203.0.113.0/24",
        ]
    ),
)
lines = st.tuples(values, comments).map(lambda made: f"  {made[0][0]} {made[0][1]}{made[1]}")
files = st.lists(st.one_of(heads, lines, lines, st.just("# a comment"), st.just(""))).map("\n".join)


@DERANDOMIZED
@given(files, files, st.sampled_from([Destination("box"), Destination("other", "ann"), Destination("box", None, 2201)]))
def test_what_slipway_connects_to_is_what_ssh_says(home: Path, text: str, more: str, where: Destination) -> None:
    (home / "more.d").mkdir(exist_ok=True)
    more = more.replace("Include", "# Include")
    (home / "more").write_text(more)
    (home / "more.d" / "a").write_text(more)
    write(home, text.replace("Include ", f"Include {home}/"))
    options = [*(["-l", where.user] if where.user else []), *(["-p", str(where.port)] if where.port else [])]
    answer = asked(where.host, *options)
    if isinstance(answer, str):
        with pytest.raises(UsageError) as refused:
            ssh_config.read(where, Cancel())
        assert refused.value.details == answer.strip()
        return
    found = ssh_config.read(where, Cancel())
    (hostname,), (user,), (port,) = answer["hostname"], answer["user"], answer["port"]
    assert (found.hostname, found.user, found.port) == (hostname, user, int(port))
    assert ",".join(found.proxy_jump) == answer.get("proxyjump", [""])[0]
    command = answer.get("proxycommand", [""])[0].replace("%h", hostname).replace("%p", port)
    assert found.proxy_command == command
    assert found.host_key_alias == answer.get("hostkeyalias", [""])[0]
    assert str(found.connect_timeout or "none") == answer["connecttimeout"][0]
    families = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
    assert found.address_family == families[answer["addressfamily"][0]]
    assert found.bind_address == answer.get("bindaddress", [""])[0]
    assert found.identities_only == (answer["identitiesonly"] == ["yes"])
    assert list(map(str, found.identity_files)) == [name.replace("~", str(home)) for name in answer["identityfile"]]
    assert " ".join(map(str, found.user_known_hosts)) == answer["userknownhostsfile"][0].replace("none", "")


def test_paths_with_spaces_tokens_and_variables_are_those_that_ssh_opens(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "/var/agent")
    write(
        home,
        'Host box\n HostName 10.0.0.5\n User ann\n Port 2222\n IdentityFile "~/a b/%h-%r"\n IdentityFile ${WHERE}/%n.key\n'
        ' UserKnownHostsFile /tmp/one "/tmp/two three"\n CertificateFile ~/%u-cert.pub\n IdentityAgent ${WHERE}/%p\n'
        ' ProxyCommand echo %% %h %n %p %r "q q"\n',
    )
    found = ssh_config.read(Destination("box"), Cancel())
    assert found.identity_files == (home / "a b/10.0.0.5-ann", Path("/var/agent/box.key"))
    assert found.user_known_hosts == (Path("/tmp/one"), Path("/tmp/two three"))
    assert found.identity_agent == "/var/agent/2222"
    assert found.proxy_command == 'echo % 10.0.0.5 box 2222 ann "q q"'
    for value, meant in (("none", ""), ("SSH_AUTH_SOCK", ""), ("$WHERE", "/var/agent"), ("/a/sock", "/a/sock")):
        write(home, f"IdentityAgent {value}\n")
        assert ssh_config.read(Destination("box"), Cancel()).identity_agent == meant


def test_the_hash_of_a_connection_is_the_one_that_ssh_makes(home: Path) -> None:
    write(home, "Host box\n HostName box.example\n IdentityFile ~/%C\n")
    said = subprocess.run(
        ["ssh", "-G", "-o", "ControlPath=%C", "box"], capture_output=True, text=True, check=True
    ).stdout
    (expected,) = [line.split()[1] for line in said.splitlines() if line.startswith("controlpath ")]
    assert ssh_config.read(Destination("box"), Cancel()).identity_files == (home / expected,)


def command_line(process: int) -> bytes:
    """The words of a process; none of one that has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_ctrl_c_ends_ssh_and_what_it_started(home: Path) -> None:
    cancel, mark = Cancel(), home / "began"
    write(home, f'Match exec "echo $$ >{mark}; exec sleep 60"\n User ann\n')
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            ssh_config.read(Destination("box"), cancel)
        except Cancelled as cancelled:
            outcome.append(cancelled)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: mark.exists() and bool(mark.read_text().strip()))
    cancel.request()
    asking.join(sshd.TIGHT)
    assert outcome
    until(lambda: not command_line(int(mark.read_text())))


def test_without_openssh_paramiko_reads_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssh, "installed", lambda: False)
    key = sealed(home / "key")
    server, other = Sshd(keys=(key,)), Sshd(key=key)
    with serving(server, other):
        write(home, f"Host box\n HostName 127.0.0.1\n Port {server.port}\n IdentityFile {home}/key\n")
        known, notes = home / ".ssh" / "known_hosts", list[str]()
        known.write_text("not a key\n" + server.known())
        connection.close(connect(Hosts(), nobody, noting(notes)))
        assert [note for note in notes if "can't be run" in note]
        known.write_text(f"@revoked * {server.known().partition(' ')[2]}{server.known()}")
        with pytest.raises(Problem, match="REVOKED"):
            connect(Hosts(), nobody)


# The way to a host


def test_a_number_that_paramiko_takes_for_a_text_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssh, "installed", lambda: False)
    write(home, "Host box\n RequiredRSASize big\n")
    assert ssh_config.read(Destination("box"), Cancel()).required_rsa_size == 1024
    write(home, "Host box\n Port many\n")
    with pytest.raises(UsageError, match="config can't be read") as told:
        ssh_config.read(Destination("box"), Cancel())
    assert "many" in told.value.details


def test_jump_hosts_are_passed_in_the_order_of_ssh(home: Path) -> None:
    key = sealed(home / "key")
    servers = {name: Sshd(keys=(key,)) for name in ("outer", "first", "second", "box")}
    with serving(*servers.values()):
        (home / "known_hosts").write_text("".join(server.known() for server in servers.values()))
        text = "".join(
            f"Host {name}\n HostName 127.0.0.1\n Port {server.port}\n User {name}\n" for name, server in servers.items()
        )
        file = write(
            home,
            f"{text}Host box\n ProxyJump ann@first,second\nHost first\n ProxyJump outer\n"
            f"Host second\n ProxyJump never\n"  # it has one before it already
            f"Host *\n IdentityFile {home}/key\n UserKnownHostsFile {home}/known_hosts\n",
        )

        def passed() -> list[tuple[list[int], list[str]]]:
            found = [(list(server.dialled), list(dict.fromkeys(server.users))) for server in servers.values()]
            for server in servers.values():
                server.dialled.clear()
                server.users.clear()
            return found

        connection.close(connect(Hosts(), nobody))
        here = passed()
        subprocess.run(["ssh", "-F", str(file), "box", "true"], stdin=subprocess.DEVNULL, check=True, timeout=30)
        assert here == passed()
        ports = [server.port for server in servers.values()]
        assert here == [([port], [user]) for port, user in zip(ports[1:], ("outer", "ann", "second"), strict=True)] + [
            ([], ["box"])
        ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Host *\n ProxyJump bastion\n", "jumphost loop via bastion"),
        ("Host bastion\n HostName 192.0.2.1\nHost *\n ProxyJump bastion\n", "box → bastion → bastion"),
        ("Host box\n ProxyJump a\nHost a\n ProxyJump b\nHost b\n ProxyJump a\n", "box → a → b → a"),
    ],
)
def test_jump_hosts_that_lead_to_themselves_are_told(home: Path, text: str, words: str) -> None:
    write(home, text)
    with pytest.raises(UsageError, match="loop") as loop:
        route("box", Hosts(), null_reporter())
    assert words in loop.value.details
    assert "ProxyJump none" in loop.value.hint


@pytest.mark.parametrize(
    ("text", "hops"),
    [
        ("Host bastion\n ProxyJump none\nHost *\n ProxyJump bastion\n", ["root@bastion:22", "root@box:22"]),
        ("Host box\n ProxyJump none\nHost *\n ProxyJump bastion\n", ["root@box:22"]),
        (
            "Host box\n ProxyJump ann@[2001:db8::1]:2201,ssh://b:3\n",
            ["ann@2001:db8::1:2201", "root@b:3", "root@box:22"],
        ),
        ("Host box\n ProxyCommand nc %h\n ProxyJump a\n", ["root@box:22"]),
    ],
)
def test_hops_are_those_of_proxy_jump(home: Path, text: str, hops: list[str]) -> None:
    write(home, text)
    configs = [hop.config for hop in route("box", Hosts(), null_reporter())]
    assert [f"{config.user}@{config.hostname}:{config.port}" for config in configs] == hops


def test_jump_of_hosts_yaml_wins_over_proxy_jump(home: Path) -> None:
    write(home, "Host box\n ProxyJump never\nHost gate\n ProxyJump outer\n")
    named = Hosts(hosts={"box": HostEntry(address="box", jump="gate"), "gate": HostEntry(address="ann@gate:2201")})
    configs = [hop.config for hop in route("box", named, null_reporter())]
    assert [(config.user, config.hostname, config.port) for config in configs][:2] == [
        (configs[2].user, "outer", 22),
        ("ann", "gate", 2201),
    ]


def test_a_proxy_command_is_run_by_a_shell(home: Path) -> None:
    key = sealed(home / "key")
    server = Sshd(keys=(key,))
    relay = (
        "import socket,sys,threading,os;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "threading.Thread(target=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,9999),b'')],daemon=True).start();"
        "[os.write(1,d) for d in iter(lambda:s.recv(9999),b'')]"
    )
    (home / "relay.py").write_text(relay)
    with serving(server):
        (home / "known_hosts").write_text(f"[box.example]:99 {server.known().partition(' ')[2]}")
        write(
            home,
            f"Host box\n HostName box.example\n Port 99\n IdentityFile {home}/key\n UserKnownHostsFile {home}/known_hosts\n"
            f" ProxyCommand python3 {home}/relay.py 127.0.0.1 $(echo {server.port}) 2>/dev/null\n",
        )
        connection.close(connect(Hosts(), nobody))
        text = (home / ".ssh" / "config").read_text()
        write(home, text.replace("python3", "echo broken >&2; false"))
        with pytest.raises(Problem, match="box") as failed:
            connect(Hosts(), nobody)
        assert "broken" in failed.value.details


def test_files_and_variables_of_fabric_and_invoke_change_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "Host box\n HostName 127.0.0.1\n")
    for name in (".fabric.yaml", ".invoke.yaml"):
        (home / name).write_text("user: admin\nport: 2200\ngateway: bastion\nrun: [x\n")
    for name in ("FABRIC_PORT", "INVOKE_PORT"):
        monkeypatch.setenv(name, "2200")
    connection._no_files.cache_clear()
    (hop,) = connection.hops_to(route("box", Hosts(), null_reporter()), Cancel())
    assert (hop.connection.port, hop.connection.gateway, hop.connection.user) == (22, None, hop.config.user)
