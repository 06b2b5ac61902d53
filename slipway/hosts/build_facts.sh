# What a build asks of a machine, and the beginning of the probe of all that it has (`facts.sh`): read-only POSIX sh.
#
# Every line is slipway:KEY=VALUE; a key may repeat. `facts.py` parses them. With `enough`, no JDK is looked for behind
# the first of that major version or a newer one: to ask another one's jlink what it can takes longer than all else.
LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say() { printf 'slipway:%s=%s\n' "$1" "$2"; }
found() { command -v "$1" 2>/dev/null; }
say kernel "$(uname -s)"; say arch "$(uname -m)"
java=$(found java); [ -n "$java" ] && java=$(readlink -f "$java" 2>/dev/null || echo "$java")
for home in "${JAVA_HOME:-}" "${java%/bin/java}" /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
  [ -x "$home/bin/jlink" ] && [ -r "$home/release" ] || continue
  # without jmods, jlink takes the modules out of the JDK itself where its vendor built it so (JEP 493)
  [ -d "$home/jmods" ] || "$home/bin/jlink" --help 2>/dev/null | grep -q "run-time image enabled" || continue
  version=$(sed -n 's/^JAVA_VERSION="\(.*\)"/\1/p' "$home/release")
  say jdk "$version $home"
  major=${version%%[!0-9]*}
  [ "${major:-0}" -lt "${enough:-999}" ] || break
done
p=$(found lein) && say lein "$p"
for jar in /usr/share/java/leiningen-[0-9]*.jar "$HOME"/.lein/self-installs/leiningen-*-standalone.jar; do
  [ -e "$jar" ] && say lein_jar "$jar"
done
[ -d /usr/share/maven-repo/ring/ring-jetty-adapter ] && say maven_repo ring
