"""Kafka, whichever client library talks to it: what its messages, offsets and reports are recorded as."""
