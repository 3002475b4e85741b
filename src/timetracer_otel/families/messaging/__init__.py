"""Messages that are published, whatever carries them."""
