// A pod to look out of: answers over HTTP what its place in the cluster's network sees.
//
//	/              its name
//	/get?url=      what a GET of the URL gives, or 502 with the error
//	/lookup?name=  the addresses of a name, or 502 with the error
//	/metrics       one counter, for Prometheus to scrape
//
// With an argument it only prints its name, for a look at `kubectl exec`.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	patience    = 5 * time.Second
	largestBody = 1 << 20
)

var requests atomic.Int64

func main() {
	if len(os.Args) > 1 {
		name, _ := os.Hostname()
		fmt.Println(name)
		return
	}
	client := &http.Client{Timeout: patience}
	http.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		name, _ := os.Hostname()
		fmt.Fprintln(w, name)
	})
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		answer, err := client.Get(r.URL.Query().Get("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, io.LimitReader(answer.Body, largestBody))
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.URL.Query().Get("name"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, addresses)
	})
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE probe_requests_total counter\nprobe_requests_total %d\n", requests.Load())
	})
	server := &http.Server{Addr: ":8080", ReadHeaderTimeout: patience}
	log.Fatal(server.ListenAndServe())
}
