"""A request is verified alone, by a process that has not asked the server yet what an earlier one had asked for it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY

__all__ = ["assert_each_is_verified_alone"]

HERE = Path(__file__).parent
FLASK = (sys.executable, "-m", "flask", "--app", "sqlalchemy_app", "run", "--port")
UVICORN = (sys.executable, "-m", "uvicorn", "sqlalchemy_asyncio_app:app", "--port")
ELSEWHERE = "somebody:else@db.nowhere.example:6543/warehouse"


def assert_each_is_verified_alone(scheme: str, server: Any, folder: Path, **settings: str) -> None:
    """Record requests to an app on SQLAlchemy, and verify them together and each alone, with the server gone.

    Args:
        scheme: of the database's URL.
        server: that does not run.
        folder: for what is made.
        settings: of the environment.
    """
    port = free_port()
    program, served = ("sqlalchemy_asyncio_app.py", UVICORN) if "asyncpg" in scheme else ("sqlalchemy_app.py", FLASK)
    server.start()
    try:
        url = f"{scheme}://{server.dsn.partition('://')[2]}"
        env = {**os.environ, "DATABASE_URL": url, "TIMETRACER_DIR": str(folder / "cassettes"), **settings}
        subprocess.run([sys.executable, program], cwd=HERE, env=env, check=True, timeout=60)
        command = [*OTEL, "--traces_exporter", "timetracer", *served, str(port)]
        with Program(command, log=folder / "log", env=env, cwd=HERE) as running:
            running.wait_for_port(port)
            asks = [Ask("POST", "/notes", {"text": "first"}), Ask("GET", "/notes/1")]
            asks += [Ask("POST", "/notes", {"text": "second"}), Ask("GET", "/notes/2")]
            assert [ask.send(port).status for ask in asks] == [200] * 4
            with ThreadPoolExecutor(4) as pool:
                assert [one.status for one in pool.map(lambda ask: ask.send(port), asks[1::2] * 6)] == [200] * 12
    finally:
        server.stop()
    env["DATABASE_URL"] = f"{scheme}://{ELSEWHERE}"
    lanes = [*(folder / "cassettes").rglob("POST__*.jsonl"), *(folder / "cassettes").rglob("GET__*.jsonl")]
    assert len(lanes) == 16
    for chosen, concurrency in ((lanes, 1), (lanes, 8), *(([lane], 1) for lane in (*lanes[:3], lanes[-1]))):
        words = [*REPLAY, "--verify", *map(str, chosen), "--concurrency", str(concurrency), "--", *served, "0"]
        done = subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{len(chosen)} checked, {len(chosen)} passed" in done.stdout
