// A Kafka of one broker that lives in memory, for tests: it listens on the port of loopback that it is given.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: kfake PORT")
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail("%q is no port: %v", os.Args[1], err)
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(port),
		kfake.NumBrokers(1),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(1),
	)
	if err != nil {
		fail("no broker on port %d: %v", port, err)
	}
	defer cluster.Close()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	<-asked
}

func fail(format string, about ...any) {
	fmt.Fprintf(os.Stderr, "kfake: "+format+"\n", about...)
	os.Exit(2)
}
