"""Writing bytes: where encoded lanes go, and what is lost on the way."""
