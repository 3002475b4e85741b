"""Memcached: its text protocol, what its commands ask, what a server that is not there says."""
