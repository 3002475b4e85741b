"""A program that gevent patches behind us, as gunicorn's gevent workers do."""

from __future__ import annotations

from pathlib import Path

from tests.startup.test_zero_code import run

_PATCHED = """
from gevent import monkey
monkey.patch_all()

from concurrent.futures import ThreadPoolExecutor

import gevent
from flask import Flask

app = Flask(__name__)


@app.get("/<int:number>")
def squares(number):
    with ThreadPoolExecutor(2) as pool:
        return {"squares": list(pool.map(lambda one: one * one, range(number)))}


def ask(number):
    return app.test_client().get(f"/{number}").get_json()


jobs = [gevent.spawn(ask, number) for number in range(1, 9)]
gevent.joinall(jobs)
assert [len(job.value["squares"]) for job in jobs] == list(range(1, 9))
print("done")
"""


def test_greenlets_that_share_locks_go_on(tmp_path: Path) -> None:
    """No thread of ours keeps gevent from exchanging the interpreter's locks, and each request has its lane."""
    program = tmp_path / "patched.py"
    program.write_text(_PATCHED, encoding="utf-8")
    ended = run(tmp_path, "", "--traces_exporter", "timetracer", program=program)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    assert "could not record" not in ended.stderr
    assert len(list((tmp_path / "cassettes").rglob("GET__*.jsonl"))) == 8
