"""What VS Code needs to attach to a replay: its ``launch.json``."""

from __future__ import annotations

import json

from timetracer_otel.debugging.settings import PORT

__all__ = ["launch_json"]


def launch_json(port: int = PORT) -> str:
    """Give a ``.vscode/launch.json`` that attaches to ``timetracer-replay … --debug dap``.

    Args:
        port: of ``--debug dap:PORT``.
    """
    attach = {
        "name": "timetracer: replay",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": port},
        "justMyCode": True,
    }
    return json.dumps({"version": "0.2.0", "configurations": [attach]}, indent=4)
