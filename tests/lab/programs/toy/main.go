// A small service for tests: it answers, and on a cluster it does what FAULT says, which no smoke test can foresee.
package main

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var hoard [][]byte

func main() {
	fault := os.Getenv("FAULT")
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		fault = ""
	}
	address := ":8080"
	switch fault {
	case "crash":
		fmt.Println("the toy cannot go on: its database is on fire")
		os.Exit(3)
	case "memory":
		for {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			hoard = append(hoard, block)
		}
	case "port":
		address = ":9999"
	case "dns":
		if _, err := net.LookupHost("nobody.nowhere.svc.cluster.local"); err != nil {
			fmt.Println("java.net.UnknownHostException: nobody.nowhere.svc.cluster.local")
			os.Exit(4)
		}
	}
	beside := false // whether a container of that name is on its network, as in no smoke test
	if other := os.Getenv("FAULT_BESIDE"); other != "" {
		_, err := net.LookupHost(other)
		beside = err == nil
	}
	var draining atomic.Bool
	name, _ := os.Hostname()
	handler := http.NewServeMux()
	handler.HandleFunc("/health/", func(w http.ResponseWriter, r *http.Request) {
		if fault == "path" || draining.Load() {
			http.Error(w, "not here", http.StatusNotFound)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	handler.HandleFunc("/note", func(w http.ResponseWriter, r *http.Request) { // the file of its image
		http.ServeFile(w, r, "/note")
	})
	handler.HandleFunc("/download", func(w http.ResponseWriter, r *http.Request) { // ten pieces a second, for a while
		seconds, _ := strconv.Atoi(r.URL.Query().Get("seconds"))
		for piece := 0; piece < 10*seconds; piece++ {
			fmt.Fprintln(w, name)
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
	handler.HandleFunc("/client", func(w http.ResponseWriter, r *http.Request) { // who asks, as what is in front says
		fmt.Fprintln(w, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
	})
	handler.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { // a WebSocket (RFC 6455, 4.2.2)
		accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		connection, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(accept[:]))
		io.Copy(connection, buffered)
	})
	handler.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) { // keeps a core busy for a moment
		for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
		}
		fmt.Fprintln(w, name)
	})
	handler.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		greeting := "hello"
		if fault == "live" || beside {
			greeting = "goodbye"
		}
		fmt.Fprintf(w, "%s from %s, version %s\n", greeting, name, os.Getenv("VERSION"))
		if strings.HasPrefix(r.URL.Path, "/log/") {
			fmt.Println("asked for", r.URL.Path)
		}
	})
	server := &http.Server{Addr: address, Handler: handler}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		draining.Store(true)
		time.Sleep(time.Second)
		server.Shutdown(context.Background())
	}()
	fmt.Println("the toy listens on", address)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	time.Sleep(200 * time.Millisecond)
}
