"""AMQP 0-9-1: what its methods ask, the messages that come and go, what a broker that is not there says."""
