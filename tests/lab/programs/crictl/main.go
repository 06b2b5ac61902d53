// The part of crictl's command line that minikube and kubeadm use, on Kubernetes' own client of the container runtime.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
	client "k8s.io/cri-client/pkg"
)

const socket = "unix:///run/containerd/containerd.sock"

type labels map[string]string

func (l labels) String() string { return "" }
func (l labels) Set(text string) error {
	key, value, _ := strings.Cut(text, "=")
	l[key] = value
	return nil
}

type call struct {
	context context.Context
	runtime cri.RuntimeService
	images  cri.ImageManagerService
	args    []string
	all     bool
	quiet   bool
	output  string
	name    string
	state   string
	timeout int64
	labels  labels
}

func show(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	fmt.Println(string(text))
	return err
}

func version(c *call) error {
	found, err := c.runtime.Version(c.context, "v1")
	if err != nil {
		return err
	}
	fmt.Printf("Version:  %s\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  %s\n",
		found.Version, found.RuntimeName, found.RuntimeVersion, found.RuntimeApiVersion)
	return nil
}

func info(c *call) error {
	status, err := c.runtime.Status(c.context, true)
	if err != nil {
		return err
	}
	conditions := []any{}
	for _, one := range status.Status.Conditions {
		conditions = append(conditions, map[string]any{
			"type": one.Type, "status": one.Status, "reason": one.Reason, "message": one.Message})
	}
	result := map[string]any{"status": map[string]any{"conditions": conditions}}
	for key, text := range status.Info {
		var value any = text
		json.Unmarshal([]byte(text), &value)
		result[key] = value
	}
	return show(result)
}

func ps(c *call) error {
	filter := &v1.ContainerFilter{LabelSelector: c.labels}
	if !c.all {
		filter.State = &v1.ContainerStateValue{State: v1.ContainerState_CONTAINER_RUNNING}
	}
	if c.state != "" {
		state := v1.ContainerState_value["CONTAINER_"+strings.ToUpper(c.state)]
		filter.State = &v1.ContainerStateValue{State: v1.ContainerState(state)}
	}
	found, err := c.runtime.ListContainers(c.context, filter)
	for _, one := range found {
		if !strings.Contains(one.Metadata.Name, c.name) {
			continue
		}
		if c.quiet {
			fmt.Println(one.Id)
		} else {
			fmt.Println(one.Id[:13], one.Image.Image, one.State, one.Metadata.Name, one.Labels["io.kubernetes.pod.name"])
		}
	}
	return err
}

func pods(c *call) error {
	found, err := c.runtime.ListPodSandbox(c.context, &v1.PodSandboxFilter{LabelSelector: c.labels})
	for _, one := range found {
		if c.quiet {
			fmt.Println(one.Id)
		} else {
			fmt.Println(one.Id[:13], one.State, one.Metadata.Namespace, one.Metadata.Name)
		}
	}
	return err
}

func images(c *call) error {
	var filter *v1.ImageFilter
	if len(c.args) > 0 {
		filter = &v1.ImageFilter{Image: &v1.ImageSpec{Image: c.args[0]}}
	}
	found, err := c.images.ListImages(c.context, filter)
	list := []any{}
	for _, one := range found {
		switch {
		case c.quiet:
			fmt.Println(one.Id)
		case c.output != "json":
			fmt.Println(one.RepoTags, one.Id, one.Size)
		}
		list = append(list, map[string]any{"id": one.Id, "repoTags": one.RepoTags, "repoDigests": one.RepoDigests,
			"size": fmt.Sprint(one.Size), "pinned": one.Pinned})
	}
	if c.output == "json" && !c.quiet {
		return show(map[string]any{"images": list})
	}
	return err
}

// each does something to every argument, and stops at the first that fails.
func each(deed func(*call, string) error) func(*call) error {
	return func(c *call) error {
		for _, arg := range c.args {
			if err := deed(c, arg); err != nil {
				return err
			}
		}
		return nil
	}
}

var commands = map[string]func(*call) error{
	"version": version, "info": info, "ps": ps, "pods": pods, "images": images,
	"pull": each(func(c *call, image string) error {
		_, err := c.images.PullImage(c.context, &v1.ImageSpec{Image: image}, nil, nil)
		return err
	}),
	"inspecti": each(func(c *call, image string) error {
		status, err := c.images.ImageStatus(c.context, &v1.ImageSpec{Image: image}, true)
		if err != nil {
			return err
		}
		if status.Image == nil {
			return fmt.Errorf("no such image %q present", image)
		}
		return show(status)
	}),
	"rmi": each(func(c *call, image string) error {
		return c.images.RemoveImage(c.context, &v1.ImageSpec{Image: image})
	}),
	"stop": each(func(c *call, id string) error { return c.runtime.StopContainer(c.context, id, c.timeout) }),
	"rm": each(func(c *call, id string) error {
		c.runtime.StopContainer(c.context, id, 0)
		return c.runtime.RemoveContainer(c.context, id)
	}),
	"stopp": each(func(c *call, id string) error { return c.runtime.StopPodSandbox(c.context, id) }),
	"rmp": each(func(c *call, id string) error {
		c.runtime.StopPodSandbox(c.context, id)
		return c.runtime.RemovePodSandbox(c.context, id)
	}),
	"inspect": each(func(c *call, id string) error {
		status, err := c.runtime.ContainerStatus(c.context, id, true)
		if err != nil {
			return err
		}
		return show(status)
	}),
	"logs": each(func(c *call, id string) error {
		status, err := c.runtime.ContainerStatus(c.context, id, false)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(status.Status.LogPath)
		os.Stdout.Write(text)
		return err
	}),
}

func run(words []string) error {
	c := &call{context: context.Background(), labels: labels{}, timeout: 10}
	flags := flag.NewFlagSet("crictl", flag.ContinueOnError)
	yes := func(target *bool, names ...string) {
		for _, name := range names {
			flags.BoolVar(target, name, false, "")
		}
	}
	text := func(target *string, names ...string) {
		for _, name := range names {
			flags.StringVar(target, name, "", "")
		}
	}
	var ignored bool
	var address string
	yes(&c.all, "a", "all")
	yes(&c.quiet, "q", "quiet")
	yes(&ignored, "f", "force", "D", "debug")
	text(&c.output, "o", "output")
	text(&c.name, "name")
	text(&c.state, "s", "state")
	text(&address, "r", "runtime-endpoint", "i", "image-endpoint")
	for _, name := range []string{"timeout", "t"} { // before the command a duration, behind `stop` seconds
		flags.Func(name, "", func(text string) error {
			if duration, err := time.ParseDuration(text); err == nil {
				c.timeout = int64(duration.Seconds())
				return nil
			}
			seconds, err := strconv.ParseInt(text, 10, 64)
			c.timeout = seconds
			return err
		})
	}
	flags.Var(c.labels, "label", "")
	var name string
	for len(words) > 0 { // flags may stand before, between and behind the words
		if err := flags.Parse(words); err != nil {
			return err
		}
		words = flags.Args()
		if len(words) > 0 {
			if name == "" {
				name = words[0]
			} else {
				c.args = append(c.args, words[0])
			}
			words = words[1:]
		}
	}
	command, known := commands[name]
	if !known {
		return fmt.Errorf("%q is no command of this crictl", name)
	}
	var err error
	if c.runtime, err = client.NewRemoteRuntimeService(socket, 30*time.Second, nil, nil); err != nil {
		return err
	}
	if c.images, err = client.NewRemoteImageService(socket, 30*time.Second, nil, nil); err != nil {
		return err
	}
	return command(c)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "FATA", err)
		os.Exit(1)
	}
}
