"""The span exporters of the host, and what leaves by them."""
