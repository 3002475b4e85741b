"""Redis: the wire protocol RESP, what its commands ask, what a server that is not there says."""
