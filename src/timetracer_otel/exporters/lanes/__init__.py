"""Recording lanes: spans and payloads are collected, lane by lane."""
