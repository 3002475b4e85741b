"""What tests share: servers to talk to."""
