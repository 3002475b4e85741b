"""Examples that ``--help`` shows below the options of each command."""

from __future__ import annotations

from typing import Final

__all__ = ["below"]

_EXAMPLES: Final = {
    "list": (
        "--error --since 2h",
        "--route 'POST /checkout' --status 5xx",
        "--text ord-4711 --limit 10",
        "--json | jq",
    ),
    "show": ("", "cassettes --lane 41239b14", "latest --call 0705c5dc", "latest --curl --url http://127.0.0.1:8000"),
    "send": ("latest", "latest --url http://127.0.0.1:8000"),
    "search": ("ord-4711", "ada@example.com cassettes/2026-11-21"),
    "stats": ("", "cassettes/2026-11-21 --json"),
    "timeline": ("latest", "latest --html page.html"),
    "diff": ("before.jsonl after.jsonl", "before after --slower 20%"),
    "bundle": ("latest -o request.jsonl.gz",),
    "plugins": ("",),
    "import": ("traces.jsonl --to cassettes", "jaeger://127.0.0.1:16686/0af7651916cd43dd8448eb211c80319c"),
    "export": (
        "otlp cassettes -o http://127.0.0.1:4318",
        "har latest -o request.har",
        "pytest latest -o tests/test_checkout.py --app shop.main:app",
    ),
    "clean": ("--older 7d --dry-run", "--status 2xx --older 1h --keep 1GB"),
    "watch": ("", "cassettes --json"),
    "doctor": ("", "--no-self-test --json", "--vscode > .vscode/launch.json"),
}


def below(command: str) -> str:
    """Give the text that stands below a command's options; empty where there is none.

    Args:
        command: its name.
    """
    lines = [f"  timetracer {command} {arguments}".rstrip() for arguments in _EXAMPLES.get(command, ())]
    return "\n".join(("\b", "Examples:", *lines)) if lines else ""
