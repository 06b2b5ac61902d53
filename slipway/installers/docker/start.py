"""How dockerd is started: by systemd, or in the background where PID 1 is no service manager."""

from __future__ import annotations

from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Privilege, script

START_TIMEOUT = 60  # seconds for dockerd to listen
LOG, PID = "/var/log/docker.log", "/var/run/docker.pid"


def start(facts: Facts) -> Command:
    """The command that starts dockerd, now and with the machine. It ends when dockerd listens, or has exited.

    Without systemd, log and pid file are in their usual places. A dockerd that is already there is waited for: it
    comes up, or goes down and holds the pid file until then.
    """
    if facts.systemd:
        return Command(("systemctl", "enable", "--now", "docker"), privilege=Privilege.ROOT, timeout=120)
    text = f"""
        listens() {{ [ -S /var/run/docker.sock ]; }}
        pid=$(cat {PID} 2>/dev/null)
        for i in $(seq {START_TIMEOUT * 5}); do
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || {{ pid=; break; }}
            ! listens || exit 0
            sleep 0.2
        done
        [ -z "$pid" ] || {{ echo "dockerd is running as process $pid, but does not listen on its socket"; exit 1; }}
        rm -f {PID} /var/run/docker.sock
        PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
        setsid dockerd >>{LOG} 2>&1 </dev/null &
        for i in $(seq {START_TIMEOUT * 5}); do
            sleep 0.2
            ! listens || exit 0
            kill -0 $! 2>/dev/null || break
        done
        tail -n 20 {LOG}
        exit 1
    """
    return script(text, privilege=Privilege.ROOT, timeout=2 * START_TIMEOUT + 30)
