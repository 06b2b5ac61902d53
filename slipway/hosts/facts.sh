# The rest of the probe, behind `build_facts.sh`: a read-only POSIX sh script that prints what a machine is and has.
#
# Whether the upstreams answer, from which Docker's script and minikube download, is asked in the background for a tenth
# of a second; behind a proxy, whether the proxy does.
reach() {
  if timeout 0.1 bash -c ': </dev/tcp/$0/$1' "$1" "$2" 2>/dev/null; then say reach "$1 yes"; else say reach "$1 no"; fi
}
p=${https_proxy:-${HTTPS_PROXY:-}}; p=${p#*://}; p=${p#*@}; p=${p%%/*}
if found timeout >/dev/null && found bash >/dev/null; then
  case $p in
    *:*) reach "${p%:*}" "${p##*:}" & ;;
    ?*) reach "$p" 80 & ;;
    *) for name in get.docker.com storage.googleapis.com dl.k8s.io; do reach "$name" 443 & done ;;
  esac
fi
say clock "$(date +%s)"; say home "$HOME"
say release "$(uname -r)"
if [ -r /etc/os-release ]; then
  . /etc/os-release
  say system "${ID:-}"; say like "${ID_LIKE:-}"; say version "${VERSION_ID:-}"
fi
say user "$(id -un)"; say uid "$(id -u)"; say groups "$(id -Gn)"; say enrolled "$(id -Gn "$(id -un)" 2>/dev/null)"
[ -d /run/systemd/system ] && say init systemd
for tool in sudo curl git sg apt-get dnf yum brew; do found $tool >/dev/null && say has $tool; done
if found sudo >/dev/null && [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then say sudo nopasswd; else say sudo password; fi
fi

if p=$(found dockerd); then # a package's version is a tenth of the time that running it takes
  v=$(dpkg-query -W -f '${Version}\n' docker.io docker-ce 2>/dev/null | sed -n '/./{s/^[0-9]*://;p;q;}')
  say dockerd "$p"; say engine "$([ -n "$v" ] && echo "version $v" || dockerd --version 2>/dev/null)"
fi
p=$(found docker) && say docker "$p"
config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
current=$(sed -n 's/.*"currentContext": *"\([^"]*\)".*/\1/p' "$config" 2>/dev/null)
say docker_host "${DOCKER_HOST:-}"; say docker_context "${DOCKER_CONTEXT:-$current}"
for file in /etc/systemd/system/*.wants/docker.service /etc/systemd/system/*.wants/docker.socket; do
  [ -e "$file" ] && say docker_enabled yes
done
[ -S /var/run/docker.sock ] && say socket yes
[ -w /var/run/docker.sock ] && say writable yes
pid=$(cat /var/run/docker.pid 2>/dev/null) && read -r name 2>/dev/null <"/proc/$pid/comm" && # a pid is used again
  [ "$name" = dockerd ] && say daemon "$pid"

say minikube_home "${MINIKUBE_HOME:-$HOME}/.minikube"
for tool in kubectl minikube; do # one that Slipway put there has its version in its name, which spares running it
  p=$(found $tool) && p=$(readlink -f "$p") || continue
  case $p in
    */slipway/$tool-*) say tool "$tool ${p##*/$tool-}" ;;
    */kubectl) say tool "kubectl $(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: *//p')" ;;
    *) say tool "$tool $($tool version --short 2>/dev/null)" ;;
  esac
done
for file in "${MINIKUBE_HOME:-$HOME}"/.minikube/cache/linux/*/v*/*; do [ -x "$file" ] && say kubernetes "$file"; done

awk '$2 == "/tmp" && $4 ~ /(^|,)noexec(,|$)/ {print "slipway:noexec=/tmp"}' /proc/mounts 2>/dev/null
for file in /etc/systemd/system/docker.service.d/slipway-proxy-*.conf; do
  [ -e "$file" ] && say docker_proxy "$file"
done
say proxy "${https_proxy:-${HTTPS_PROXY:-${http_proxy:-}}}"
say ports "$(ss -Hltn 2>/dev/null | awk '{print $4}' | sed 's/.*://' | sort -un | tr '\n' ' ')"
say total_memory "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)"
say memory "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
say disk "$(df -Pk / /var/lib 2>/dev/null | awk 'NR>1 && (!m || $4<m) {m=$4} END {print m}')"
wait; say end end
