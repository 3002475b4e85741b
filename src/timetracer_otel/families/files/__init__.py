"""Files that a library keeps: what it asks of them, and those that a replay gives."""
