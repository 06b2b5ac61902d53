// A TCP relay that holds every byte back for a while in each direction: a far network where the kernel has no netem.
// Arguments: the delay of one direction, then pairs LISTEN=TARGET.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

type piece struct {
	due  time.Time
	data []byte
}

func pass(from, to net.Conn, delay time.Duration) {
	pieces := make(chan piece, 4096)
	go func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 65536)
			n, err := from.Read(buffer)
			if n > 0 {
				pieces <- piece{time.Now().Add(delay), buffer[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for one := range pieces {
		time.Sleep(time.Until(one.due))
		if _, err := to.Write(one.data); err != nil {
			break
		}
	}
	if half, ok := to.(*net.TCPConn); ok {
		half.CloseWrite()
	}
	io.Copy(io.Discard, from)
}

func serve(listen, target string, delay time.Duration) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		log.Fatal(err)
	}
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			time.Sleep(2 * delay) // the handshake's round trip
			far, err := net.Dial("tcp", target)
			for try := 0; err != nil && try < 5; try++ { // a first packet that a firewall rule drops is an error here
				time.Sleep(200 * time.Millisecond)
				far, err = net.Dial("tcp", target)
			}
			if err != nil {
				near.Close()
				return
			}
			go pass(near, far, delay)
			pass(far, near, delay)
			near.Close()
			far.Close()
		}()
	}
}

func main() {
	delay, err := time.ParseDuration(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, pair := range os.Args[2:] {
		listen, target, _ := strings.Cut(pair, "=")
		go serve(listen, target, delay)
	}
	io.Copy(io.Discard, os.Stdin) // until whoever started it is gone, however it went
}
