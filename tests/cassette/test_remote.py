"""Cassettes in object storage, by fsspec: its memory filesystem, and S3 as moto serves it on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pytest

from examples.support import Program, free_port
from tests.cassette.conftest import lines, session_span
from tests.cassette.test_collector_files import framed, lane, metrics, proto
from timetracer_otel.cassette import loading, remote, scratch, storage
from timetracer_otel.errors import CassetteError

OBJECTS = {
    "traces/hour=01/traces_1.json": lines(lane(1)),
    "traces/hour=01/traces_2.binpb": proto(*lane(2)),
    "traces/hour=02/t.proto": framed(proto(*lane(3))),
    "traces/hour=02/metrics.binpb": metrics(),
    "traces/hour=02/empty": b"",
    "traces/notes.txt": b"not a cassette",
    "own/2023-11-14/22/GET__users__1.jsonl": lines(lane(4)),
    "own/2023-11-14/22/SESSION__app__5e55.jsonl": lines([session_span("5e55")]),
    "own/2023-11-14/22/x.jsonl.part": lines(lane(5)),
    "own/damaged.jsonl": b"damaged",
}


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of a filled folder in fsspec's memory filesystem."""
    system = fsspec.filesystem("memory")
    for name, data in OBJECTS.items():
        system.pipe_file(f"/bucket/{name}", data)
    yield "memory://bucket"
    system.rm("/bucket", recursive=True)
    scratch.discard()


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 service with these objects in a bucket."""
    port, folder = free_port(), tmp_path_factory.mktemp("moto")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with Program(command, log=folder / "log", env={"PATH": "/usr/bin:/bin"}, cwd=folder) as program:
        program.wait_for_port(port)
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
        )
        client.create_bucket(Bucket="bucket")
        for name, data in OBJECTS.items():
            client.put_object(Bucket="bucket", Key=name, Body=data)
        client.put_object(Bucket="bucket", Key="odd/../../../x.json", Body=lines(lane(6)))
        yield endpoint


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of the bucket, with the environment that leads there."""
    for name, value in {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").invalidate_cache()
    yield "s3://bucket"
    scratch.discard()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    """Either of them."""
    url: str = request.getfixturevalue(request.param)
    return url


def found(url: str) -> list[str]:
    """The names of the files that are found."""
    return sorted(path.name for path in storage.find([url], Path("nowhere")))


def test_a_prefix_means_the_traces_below_it(bucket: str) -> None:
    """As a directory does: by content, whatever the objects are called."""
    assert found(f"{bucket}/traces/") == ["t.proto", "traces_1.json", "traces_2.binpb"]
    assert found(f"{bucket}/traces/hour=02") == ["t.proto"]


def test_an_object_and_a_pattern(bucket: str) -> None:
    """Each file comes once, however it is named."""
    assert found(f"{bucket}/traces/hour=01/traces_1.json") == ["traces_1.json"]
    assert found(f"{bucket}/traces/*/traces_*") == ["traces_1.json", "traces_2.binpb"]
    assert found(f"{bucket}/traces/hour=0?") == ["t.proto", "traces_1.json", "traces_2.binpb"]


def test_a_lane_brings_its_session(bucket: str) -> None:
    """What stands beside it in the bucket is found, as it would be in a folder."""
    cassette = loading.load(storage.find([f"{bucket}/own/2023-11-14/22/GET__users__1.jsonl"], Path("nowhere")))
    assert [one.id for one in cassette.lanes] == ["lane-4"]
    assert list(cassette.sessions) == ["5e55"]


def test_copies_are_private_and_go(bucket: str) -> None:
    """In folders and files that only their owner reads, until the process ends or is done with them."""
    (path,) = storage.find([f"{bucket}/traces/hour=01/traces_1.json"], Path("nowhere"))
    assert path.stat().st_mode & 0o777 == 0o600
    folders = [folder for folder in path.parents if folder.is_relative_to(scratch.folder())]
    assert {folder.stat().st_mode & 0o077 for folder in folders} == {0}
    assert scratch.named(str(path)) == f"{bucket}/traces/hour=01/traces_1.json"
    scratch.discard()
    assert not path.exists()


def test_an_odd_key_stays_in_our_folder(s3: str) -> None:
    """A key is any text, and may look like a way out."""
    (path,) = storage.find([f"{s3}/odd/"], Path("nowhere"))
    assert path.is_relative_to(scratch.folder())
    assert ".." not in path.parts


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("{bucket}/nothing/", "there is no object of this name, and none below it"),
        ("{bucket}/nothing*", "there is no object of this name"),
        ("{bucket}/traces/hour=02/m*", None),
        ("ftp://me:secret@host/x", "ftp://host/x: cassettes cannot be read from ftp:// URLs: known are file://, s3://"),
    ],
)
def test_what_is_not_there_is_refused(bucket: str, url: str, cause: str | None) -> None:
    """The error names the URL; an object that is named is taken as it is, and refused when it is read."""
    url = url.format(bucket=bucket)
    if cause is None:
        (path,) = storage.find([url], Path("nowhere"))
        with pytest.raises(CassetteError, match="holds OTLP metrics"):
            loading.load([path])
        return
    with pytest.raises(CassetteError) as caught:
        storage.find([url], Path("nowhere"))
    assert cause in str(caught.value)
    assert "secret" not in str(caught.value)


def test_missing_credentials_are_said(moto: str, tmp_path: Path) -> None:
    """In a process of its own, as a user has it; nothing secret is printed, and no traceback."""
    command = [
        sys.executable,
        "-c",
        "from timetracer_otel.cli.main import run; run()",
        "show",
        "s3://me:secret@bucket/x",
    ]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": moto,
        "AWS_EC2_METADATA_DISABLED": "1",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 2
    assert "timetracer: s3://bucket/x: cannot be read (" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(CassetteError, match=r"gs://bucket/x: needs a library .* pip install 'timetracer-otel\[gcs\]'"):
        storage.find(["gs://bucket/x"], Path("nowhere"))


LOGGING = """
import logging, sys
from fsspec.implementations.memory import MemoryFileSystem

def info(self, path):
    try:
        raise OSError("gone")
    except OSError:
        logging.getLogger("gcsfs").exception("tried six times")
        raise

MemoryFileSystem.info = info
sys.argv = ["timetracer", "list", "memory://bucket/x"]
from timetracer_otel.cli.main import run
run()
"""


def test_what_a_library_logs_is_not_printed() -> None:
    """Python would print it, tracebacks included, since the command sets up no logging. A failure is no absence."""
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("timetracer: memory://bucket/x: cannot be read (OSError: gone)")


def test_an_object_that_arrives_cut_is_refused(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter cassette is never taken for a whole one."""
    system: Any = type(fsspec.filesystem("memory"))
    info = system.info
    monkeypatch.setattr(system, "info", lambda *args, **kwargs: info(*args, **kwargs) | {"size": 10_000})
    with pytest.raises(CassetteError, match="of its 10000 bytes arrived: try again"):
        storage.find([f"{memory}/traces/hour=01/traces_1.json"], Path("nowhere"))


def test_a_file_url_is_the_file_itself(tmp_path: Path) -> None:
    """Nothing is copied; a directory and a pattern work as without the scheme."""
    (tmp_path / "a.jsonl").write_bytes(lines(lane(1)))
    assert storage.find([f"file://{tmp_path}/a.jsonl"], tmp_path) == [tmp_path / "a.jsonl"]
    assert storage.find([f"file://localhost{tmp_path}"], tmp_path) == [tmp_path / "a.jsonl"]
    assert remote.local_path("s3://bucket/x") is None
