// An OCI runtime for machines that lack CAP_SYS_RESOURCE: it takes the capability out of what Docker asks for, since
// nobody can give what he does not have, and lets runc do the rest.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const lacking = "CAP_SYS_RESOURCE"

type object = map[string]any

// value returns what follows a flag, as `--flag value` or `--flag=value`.
func value(args []string, flags ...string) string {
	for i, arg := range args {
		for _, flag := range flags {
			if arg == flag && i+1 < len(args) {
				return args[i+1]
			}
			if rest, found := strings.CutPrefix(arg, flag+"="); found {
				return rest
			}
		}
	}
	return ""
}

// process makes an OCI process ask only for what this machine can give.
func process(p object) {
	caps, _ := p["capabilities"].(object)
	for set, list := range caps {
		var kept []any
		for _, name := range list.([]any) {
			if name != lacking {
				kept = append(kept, name)
			}
		}
		caps[set] = kept
	}
	if score, is := p["oomScoreAdj"].(float64); is && score < 0 {
		p["oomScoreAdj"] = 0
	}
}

func rewrite(path string, change func(object)) {
	text, err := os.ReadFile(path)
	if err != nil {
		return // runc says what is wrong with it
	}
	var spec object
	if json.Unmarshal(text, &spec) != nil {
		return
	}
	change(spec)
	if text, err = json.Marshal(spec); err == nil {
		os.WriteFile(path, text, 0o600)
	}
}

func main() {
	args := os.Args[1:]
	for _, arg := range args {
		switch arg {
		case "create", "run":
			rewrite(filepath.Join(value(args, "--bundle", "-b"), "config.json"), func(spec object) {
				if p, is := spec["process"].(object); is {
					process(p)
				}
			})
		case "exec":
			rewrite(value(args, "--process", "-p"), process)
		}
	}
	for _, runc := range []string{"/usr/sbin/runc", "/usr/bin/runc"} {
		err := syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
		fmt.Fprintln(os.Stderr, runc, err)
	}
	os.Exit(1)
}
