"""What Slipway runs on a host over SSH: small POSIX sh programs around a command, a job, and an uploaded file."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from slipway.hosts.host import Command

PROCESS_GROUP_MARK, OUTPUT_MARK, NOT_FOUND_MARK = b"slipway:group=", b"slipway:begin", b"slipway:absent"
INCOMPLETE = 114  # RECEIVE_FILE's exit code when bytes are missing, or another upload took the partial file: try again

# Prints its process group, and a mark where the output begins (a login shell may have printed something before); reads
# its environment from standard input, changes to a folder, and becomes the command.
WRAPPER = f"""{{ read -r _ _ _ _ g _ </proc/$$/stat; }} 2>/dev/null || g=$(ps -o pgid= -p $$ 2>/dev/null)
echo {PROCESS_GROUP_MARK.decode()}$g >&2; echo {OUTPUT_MARK.decode()}
n=$1; shift; while [ "$n" -gt 0 ]; do IFS= read -r v; export "$v"; n=$((n-1)); done
[ -z "$1" ] || cd "$1" || exit 111; shift
command -v "$1" >/dev/null 2>&1 || {{ echo {NOT_FOUND_MARK.decode()} >&2; exit 127; }}
exec "$@" """

# $1 names a job; the rest is its command. It continues when the connection ends; the same command attaches to it.
# A process is identified by its id, its start time and the boot: an id alone is used again. The job's input is removed
# when it ends, its output after a day.
JOB = r"""umask 077; if [ "$(id -u)" = 0 ]; then j=/run/slipway; else j=$HOME/.cache/slipway/jobs; fi
d=$j/$1; shift; mkdir -p "$j" || exit 111
known() { echo "$1 $(cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null) $(cat /proc/sys/kernel/random/boot_id)"; }
exec 9>>"$d.lock"; command -v flock >/dev/null && flock 9
find "$j" -mindepth 1 -maxdepth 1 -mtime +0 ! -name "${d##*/}.lock" -exec rm -rf {} +
{ read -r p rest <"$d/process"; } 2>/dev/null || p=
if [ -n "$p" ] && [ ! -e "$d/exit" ] && [ "$p $rest" = "$(known "$p")" ]; then
  echo 'slipway: the same command is running there already; attaching to it' >&2
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

# Appends standard input to the first $5 bytes of the partial file of $1 (whose sha256 is $3); when all $4 bytes have
# arrived, it is moved to $1 with mode $2. Each upload writes its own copy of the partial file, so that one which was
# cut off and may still be writing damages no other. An incomplete file is kept.
RECEIVE_FILE = f"""umask 022; mkdir -p "$(dirname "$1")" && umask 077 || exit 111; n=$1.$3.part.$$
if [ "$5" -gt 0 ]; then
  p=$(ls -S "$1.$3.part".* 2>/dev/null | head -n 1)
  head -c "$5" "$p" >"$n" || {{ rm -f "$n"; exit {INCOMPLETE}; }}
  rm -f "$p"
else : >"$n"; fi
cat >>"$n" || exit 111
[ "$(stat -c %s "$n" 2>/dev/null)" = "$4" ] || exit {INCOMPLETE}
[ "$(sha256sum <"$n" | cut -c1-64)" = "$3" ] || {{ echo "the file was damaged on the way" >&2; rm -f "$n"; exit 113; }}
chmod "$2" "$n" && sync "$n" && mv -f "$n" "$1" && rm -f "$1.$3.part".* """
# Prints `whole` if $1 is that file already (mode $2 is set then), else the size of its largest partial file.
UPLOAD_STATE = """if [ "$(sha256sum <"$1" 2>/dev/null | cut -c1-64)" = "$3" ]; then chmod "$2" "$1" && echo whole
else p=$(ls -S "$1.$3.part".* 2>/dev/null | head -n 1); stat -c %s "$p" 2>/dev/null || echo 0; fi"""

# Docker's own client connects to the socket $1, as it does for DOCKER_HOST=ssh://; its stream begins behind the mark.
DIAL_STDIO = f'echo {OUTPUT_MARK.decode()}; exec docker --host "unix://$1" system dial-stdio'


def as_job(command: Command) -> Command:
    """The command as a job, named by a digest of what it runs: the same one is never started twice at once."""
    name = hashlib.sha256(repr((command.argv, command.stdin, sorted((command.env or {}).items()))).encode())
    return replace(command, argv=("sh", "-c", JOB, "sh", name.hexdigest()[:16], *command.argv))
