// A WebSocket server on the Centrifuge library, Centrifugo's core: what is published on NATS below `bench` goes to the
// channel of the same name.
//
//	centrifuge NATS_URL [CERTIFICATE KEY]
//
// It prints its address. Settings are the library's own, but for presence, recovery and history, which a channel has
// only where they are asked for.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"
	"github.com/nats-io/nats.go"
)

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	check(err)
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "ann"}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{}, nil)
		})
	})
	check(node.Run())

	bus, err := nats.Connect(os.Args[1])
	check(err)
	_, err = bus.Subscribe("bench.>", func(message *nats.Msg) {
		if _, err := node.Publish(message.Subject, message.Data); err != nil {
			log.Fatal(err)
		}
	})
	check(err)
	check(bus.Flush())

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr())
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{})
	if len(os.Args) > 3 {
		check(http.ServeTLS(listener, handler, os.Args[2], os.Args[3]))
	}
	check(http.Serve(listener, handler))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
