"""What Slipway runs on a host over SSH: small POSIX sh programs around a command, a lasting job, and a file."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from slipway.hosts.host import Command

GROUP, BEGIN, ABSENT = b"slipway:group=", b"slipway:begin", b"slipway:absent"
SHORT = 114  # RECEIVE's exit code when less came than was said, or somebody else went on with it: ask anew

# Says its process group, and where the output begins (a login shell may have spoken before); takes its environment
# from standard input, goes to a folder, and becomes the command.
WRAPPER = f"""{{ read -r _ _ _ _ g _ </proc/$$/stat; }} 2>/dev/null || g=$(ps -o pgid= -p $$ 2>/dev/null)
echo {GROUP.decode()}$g >&2; echo {BEGIN.decode()}
n=$1; shift; while [ "$n" -gt 0 ]; do IFS= read -r v; export "$v"; n=$((n-1)); done
[ -z "$1" ] || cd "$1" || exit 111; shift
command -v "$1" >/dev/null 2>&1 || {{ echo {ABSENT.decode()} >&2; exit 127; }}
exec "$@" """

# $1 names a job; the rest is its command. It goes on when the connection ends; whoever comes meanwhile follows it.
# A process is known by its id, the tick of its start and the boot: an id alone comes again. Input goes with the job's
# end, its output after a day.
JOB = r"""umask 077; if [ "$(id -u)" = 0 ]; then j=/run/slipway; else j=$HOME/.cache/slipway/jobs; fi
d=$j/$1; shift; mkdir -p "$j" || exit 111
known() { echo "$1 $(cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null) $(cat /proc/sys/kernel/random/boot_id)"; }
exec 9>>"$d.lock"; command -v flock >/dev/null && flock 9
find "$j" -mindepth 1 -maxdepth 1 -mtime +0 ! -name "${d##*/}.lock" -exec rm -rf {} +
{ read -r p rest <"$d/process"; } 2>/dev/null || p=
if [ -n "$p" ] && [ ! -e "$d/exit" ] && [ "$p $rest" = "$(known "$p")" ]; then
  echo 'slipway: the same command runs there already, and is followed' >&2
else
  rm -rf "$d" && mkdir "$d" || exit 111
  : >"$d/out"; : >"$d/err"; cat >"$d/in" || exit 111
  setsid sh -c 'd=$0; trap "" HUP; "$@" <"$d/in" >>"$d/out" 2>>"$d/err"; echo $? >"$d/code"
    rm -f "$d/in"; mv "$d/code" "$d/exit"' "$d" "$@" </dev/null >/dev/null 2>&1 9>&- &
  p=$!; known $p >"$d/process"
fi
exec 9>&-
tail -c +1 -s 0.1 -f --pid="$p" "$d/err" >&2 &
tail -c +1 -s 0.1 -f --pid="$p" "$d/out"
wait; code=$(cat "$d/exit") || exit 112
exit "$code"
"""

# Puts what comes behind the first $5 bytes of $1's part ($3: its sha256), and when all $4 bytes are there in the place
# of $1 with mode $2. Each writes a file of its own, begun as a copy of the part: whoever was cut off, and may still
# write, writes to nobody's file. What came stays if it is short.
RECEIVE = f"""umask 022; mkdir -p "$(dirname "$1")" && umask 077 || exit 111; n=$1.$3.part.$$
if [ "$5" -gt 0 ]; then
  p=$(ls -S "$1.$3.part".* 2>/dev/null | head -n 1)
  head -c "$5" "$p" >"$n" || {{ rm -f "$n"; exit {SHORT}; }}
  rm -f "$p"
else : >"$n"; fi
cat >>"$n" || exit 111
[ "$(stat -c %s "$n" 2>/dev/null)" = "$4" ] || exit {SHORT}
[ "$(sha256sum <"$n" | cut -c1-64)" = "$3" ] || {{ echo "it came through damaged" >&2; rm -f "$n"; exit 113; }}
chmod "$2" "$n" && sync "$n" && mv -f "$n" "$1" && rm -f "$1.$3.part".* """
# How much of that is there: `whole` if it is the file already (mode $2 is set then), else the part's size.
HAVE = """if [ "$(sha256sum <"$1" 2>/dev/null | cut -c1-64)" = "$3" ]; then chmod "$2" "$1" && echo whole
else p=$(ls -S "$1.$3.part".* 2>/dev/null | head -n 1); stat -c %s "$p" 2>/dev/null || echo 0; fi"""

# Docker's own client passes a socket ($1) on, as it does for DOCKER_HOST=ssh://; the mark is where that begins.
DIAL = f'echo {BEGIN.decode()}; exec docker --host "unix://$1" system dial-stdio'


def job(command: Command) -> Command:
    """The command as a job: named by what it does, so that the same one is never started beside itself."""
    name = hashlib.sha256(repr((command.argv, command.stdin, sorted((command.env or {}).items()))).encode())
    return replace(command, argv=("sh", "-c", JOB, "sh", name.hexdigest()[:16], *command.argv))
