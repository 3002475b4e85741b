"""Suites whose tests share things, are async, run in any order, or ask for nothing."""

from __future__ import annotations

import random

import pytest

from tests.plugin.conftest import Server
from tests.plugin.suites import HEAD, Suite
from tests.support.mongo import MongoServer

pytest_plugins = ["pytester"]

NAMES = """
@pytest.mark.timetracer
class TestPaths:
    @pytest.mark.parametrize("path", ["a", "b/c", "b?c", "é", "x" * 300])
    def test_path(self, path):
        assert ask("/" + str(len(path)))["number"]

@pytest.mark.timetracer("given/name.jsonl.gz")
def test_given():
    assert ask()

@pytest.mark.timetracer
def test_given_not():
    assert ask()
"""


@pytest.mark.system
def test_cassettes_are_named_from_the_tests(suite: Suite, server: Server) -> None:
    """As pytest-recording names them; those that a file cannot be named have a digest, so that each has its own."""
    suite.write(text=NAMES)
    suite.run().assert_outcomes(passed=7)
    names = suite.cassettes()
    assert len(names) == 7
    assert {"test_it/TestPaths.test_path[a].jsonl", "test_it/test_given_not.jsonl"} < set(names)
    assert "test_it/given/name.jsonl" in names
    suite.run("--timetracer-mode=none").assert_outcomes(passed=7)
    assert server.asked == 7


def test_all_cassettes_can_be_in_one_folder(suite: Suite) -> None:
    """By the option or the setting, with the folders of the tests in it."""
    for folder in ("one", "other"):
        (suite.path / folder).mkdir()
        (suite.path / folder / "__init__.py").touch()
        text = HEAD + "\n@pytest.mark.timetracer\ndef test_asks():\n    ask()\n"
        (suite.path / folder / "test_it.py").write_text(text)
    suite.run("--timetracer-dir=recorded").assert_outcomes(passed=2)
    suite.settings("timetracer_dir = recorded")
    suite.run("--timetracer-mode=none").assert_outcomes(passed=2)
    found = sorted(str(file.relative_to(suite.path)) for file in suite.path.rglob("*.jsonl"))
    assert found == ["recorded/one/test_it/test_asks.jsonl", "recorded/other/test_it/test_asks.jsonl"]


SHARED = """
@pytest.fixture(scope="session")
def rate():
    yield ask("/rate")["number"]
    ask("/give-back")

@pytest.fixture(scope="module", params=["EUR", "USD"])
def currency(request):
    return ask("/" + request.param)["path"]

@pytest.fixture
def order(rate):
    yield ask("/order")["number"]
    ask("/cancel")

def test_unmarked(rate):
    assert rate

@pytest.mark.timetracer
def test_rate(rate, order):
    assert order > rate

@pytest.mark.timetracer
def test_currency(currency, rate):
    assert currency in {"/EUR", "/USD"}
    assert ask(currency)["path"] == currency

class TestSetUp:
    @classmethod
    def setup_class(cls):
        cls.number = ask("/class")["number"]

    def setup_method(self):
        self.mine = ask("/method")["number"]

    @pytest.mark.timetracer
    def test_mine(self):
        assert self.mine > self.number
"""


@pytest.mark.system
def test_shared_fixtures_have_cassettes_of_their_own(suite: Suite, server: Server) -> None:
    """So that each test runs alone and in any order, whichever of them set the fixture up when it was recorded."""
    suite.write(text=SHARED)
    suite.run().assert_outcomes(passed=5)
    asked = server.asked
    fixtures = [name for name in suite.cassettes() if name.startswith("fixtures/")]
    assert "fixtures/test_it/rate.setup.jsonl" in fixtures
    assert "fixtures/test_it/rate.teardown.jsonl" in fixtures
    tests = ["test_rate", "test_currency", "TestSetUp::test_mine", "test_unmarked"]
    for chosen in ([tests[0]], [tests[1]], [tests[2]], tests[::-1]):
        result = suite.run("--timetracer-strict", *(f"test_it.py::{name}" for name in chosen))
        result.assert_outcomes(passed=sum(2 if name == "test_currency" else 1 for name in chosen))
    assert server.asked == asked


@pytest.mark.system
def test_a_new_test_is_recorded_with_the_fixture_live(suite: Suite, server: Server) -> None:
    """What it asks may need what the fixture makes."""
    suite.write(text=SHARED)
    suite.run().assert_outcomes(passed=5)
    asked = server.asked
    suite.write(
        text=SHARED + "\n@pytest.mark.timetracer\ndef test_new(rate):\n    assert ask('/new')['number'] > rate\n"
    )
    suite.run("-k", "new or currency").assert_outcomes(passed=3)
    assert server.asked > asked + 1
    suite.run("--timetracer-mode=none").assert_outcomes(passed=6)


DRAWN = """
pytestmark = pytest.mark.timetracer

@pytest.fixture(scope="session")
def token():
    return uuid.uuid4().hex

@pytest.fixture(scope="module")
def silent():
    return None

@pytest.mark.parametrize("name", ["a", "b"])
def test_asks(token, silent, name):
    assert ask(f"/{token}/{name}")["path"] == f"/{token}/{name}"
"""


def test_what_a_shared_fixture_draws_is_given_again(suite: Suite, server: Server) -> None:
    """Though it asks nothing of anybody; one that does neither has no cassette."""
    suite.write(text=DRAWN)
    suite.run().assert_outcomes(passed=2)
    assert [name for name in suite.cassettes() if "fixtures/" in name] == ["fixtures/test_it/token.setup.jsonl"]
    suite.run("--timetracer-mode=none", "-k", "b").assert_outcomes(passed=1)
    assert server.asked == 2


DATABASE = """
@pytest.fixture(scope="session")
def django_db_setup():
    ask("/create")
    yield
    ask("/drop")

@pytest.fixture
def _django_db_helper(django_db_setup):
    ask("/begin")

@pytest.fixture(autouse=True)
def _django_db_marker(request):
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("_django_db_helper")

@pytest.mark.timetracer
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/a", "/b"])
def test_asks(path):
    assert ask(path)["path"] == path

@pytest.mark.timetracer
def test_asks_nothing():
    pass
"""


@pytest.mark.system
def test_the_database_of_pytest_django_is_a_fixture_as_any_other(suite: Suite, server: Server) -> None:
    """Though its marker asks for it by name, it is set up and torn down without it, whichever test comes first."""
    suite.settings("markers = django_db")
    suite.write(text=DATABASE)
    suite.run().assert_outcomes(passed=3)
    asked = server.asked
    assert {f"fixtures/test_it/django_db_setup.{part}.jsonl" for part in ("setup", "teardown")} < {*suite.cassettes()}
    for chosen in ("test_asks[/b]", "test_asks[/a]", "test_asks_nothing"):
        result = suite.run("--timetracer-strict", "--timetracer-mode=none", f"test_it.py::{chosen}")
        result.assert_outcomes(passed=1)
    assert server.asked == asked


ASYNC = """
import asyncio
import httpx

pytestmark = pytest.mark.timetracer

async def get(path):
    async with httpx.AsyncClient() as client:
        return (await client.get(URL + path)).json()

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module")
def shared_backend():
    return "asyncio"

@pytest.mark.asyncio
async def test_of_asyncio(timetracer):
    found = await asyncio.gather(get("/a"), get("/b"))
    assert {one["number"] for one in found} == {1, 2}
    assert len(timetracer.calls(system="http")) == 2

@pytest.mark.anyio
async def test_of_anyio():
    assert (await get("/c"))["number"] == 3

def test_of_a_loop():
    assert asyncio.run(get("/d"))["number"] == 4

@pytest.mark.anyio
async def test_in_a_thread():
    import anyio
    assert (await anyio.to_thread.run_sync(ask, "/e"))["number"] == 5
"""


def test_async_tests(suite: Suite, server: Server) -> None:
    """Of pytest-asyncio and anyio, with loops of their own, in threads."""
    suite.write(text=ASYNC)
    suite.run().assert_outcomes(passed=4)
    suite.run("--timetracer-strict").assert_outcomes(passed=4)
    assert server.asked == 5


@pytest.mark.system
def test_a_client_that_all_tests_share_goes_from_one_to_the_other(suite: Suite, mongo_server: MongoServer) -> None:
    """Recorded, replayed and live tests by turns: no connection of one is used by another one."""
    suite.write(
        text=f"""
        import pymongo, requests

        CLIENT = pymongo.MongoClient({mongo_server.uri!r}, serverSelectionTimeoutMS=30000, retryWrites=False)
        SESSION = requests.Session()

        @pytest.fixture(scope="module", autouse=True)
        def closing():
            yield
            CLIENT.close()

        def work(name):
            CLIENT.shop.orders.insert_one({{"name": name}})
            assert SESSION.get(URL).json()["number"]
            return CLIENT.shop.orders.count_documents({{"name": name}})

        @pytest.mark.timetracer
        def test_one():
            assert work("one") == 1

        def test_live():
            assert work("live") == os.environ["RUNS"].count("x")

        @pytest.mark.timetracer(mode=os.environ["MODE"])
        def test_two():
            assert work("two") == os.environ["RUNS"].count("x")

        def test_live_again():
            assert work("again") == os.environ["RUNS"].count("x")
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        for runs, mode in (("x", "once"), ("xx", "all"), ("xxx", "all")):
            patch.setenv("RUNS", runs)
            patch.setenv("MODE", mode)
            suite.run().assert_outcomes(passed=4)


@pytest.mark.system
def test_requests_of_a_test_are_a_part_of_it(suite: Suite, server: Server) -> None:
    """By the test client of an app in the same process, in a thread or a loop of its own, with shared clients too."""
    suite.write(
        text="""
        import httpx, requests
        from fastapi import FastAPI
        from fastapi.testclient import TestClient
        from flask import Flask

        pytestmark = pytest.mark.timetracer
        flask_app, fastapi_app = Flask("orders"), FastAPI()

        @flask_app.get("/<name>")
        def flask_view(name):
            return requests.get(URL + "/flask/" + name).json()

        @fastapi_app.get("/async")
        async def async_view():
            async with httpx.AsyncClient() as client:
                return (await client.get(URL + "/async")).json()

        @fastapi_app.get("/sync")
        def sync_view():
            return httpx.get(URL + "/sync").json()

        @pytest.fixture(scope="module")
        def shared():
            with TestClient(fastapi_app) as client:
                yield client

        def test_flask(timetracer):
            assert flask_app.test_client().get("/a").json["path"] == "/flask/a"
            assert [call.url for call in timetracer.calls()] == [URL + "/flask/a"]

        def test_fastapi():
            client = TestClient(fastapi_app)
            assert {client.get(path).json()["path"] for path in ("/async", "/sync")} == {"/async", "/sync"}

        def test_shared(shared):
            assert {shared.get(path).json()["path"] for path in ("/async", "/sync")} == {"/async", "/sync"}

        def test_shared_again(shared):
            assert shared.get("/sync").json()["path"] == "/sync"

        @pytest.mark.asyncio
        async def test_asgi():
            transport = httpx.ASGITransport(app=fastapi_app)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                assert (await client.get("/async")).json()["path"] == "/async"
        """
    )
    suite.run().assert_outcomes(passed=5)
    asked = server.asked
    for _ in range(2):
        suite.run("--timetracer-strict", "-p", "no:randomly").assert_outcomes(passed=5)
    suite.run("--timetracer-strict", "-k", "again").assert_outcomes(passed=1)
    assert server.asked == asked


def test_a_run_without_such_tests_loads_nothing(suite: Suite) -> None:
    """Neither OpenTelemetry nor us."""
    suite.write(
        text="""
        import sys

        def test_plain():
            ask()
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"opentelemetry", "timetracer_otel", "wrapt"}
        """
    )
    suite.run_apart().assert_outcomes(passed=1)


def test_other_tests_are_left_alone(suite: Suite) -> None:
    """What is patched for one test is as it was in the next one; no thread stays behind."""
    suite.write(
        text="""
        import http.client, sys, threading, uuid

        def state():
            return http.client.HTTPConnection.send, uuid.uuid4, time.time, threading.Thread.start

        BEFORE = state()
        THREADS = set(threading.enumerate())

        @pytest.mark.timetracer
        @pytest.mark.parametrize("n", range(3))
        def test_recorded(n):
            ask()
            assert state()[0] is not BEFORE[0]

        def test_plain():
            ask()
            assert state() == BEFORE
            new = set(threading.enumerate()) - THREADS
            assert not [one.name for one in new if one.name.startswith("timetracer")]
        """
    )
    for _ in range(2):
        suite.run().assert_outcomes(passed=4)


def test_a_fixture_of_the_same_name_is_its_owners(suite: Suite, server: Server) -> None:
    """It asks for no cassette."""
    suite.write(
        text="""
        @pytest.fixture
        def timetracer():
            return "mine"

        def test_mine(timetracer):
            assert timetracer == "mine"
            ask()

        class TestAsked:
            def test_by_name(self, request):
                assert request.getfixturevalue("timetracer") == "mine"
        """,
        test_other="""
        def test_asked_too_late(request):
            request.getfixturevalue("timetracer")
        """,
    )
    result = suite.run()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*mark the test with @pytest.mark.timetracer*"])
    assert (server.asked, suite.cassettes()) == (1, [])


def test_a_test_may_set_up_telemetry(suite: Suite) -> None:
    """The tracer provider of the process stays free for it."""
    suite.write(
        text="""
        @pytest.mark.timetracer
        def test_sets_up():
            from opentelemetry import trace
            assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
            ask()
        """
    )
    suite.run_apart().assert_outcomes(passed=1)


def test_what_the_app_installs_is_the_tests(suite: Suite) -> None:
    """An app that is set up for timetracer runs in a test as anywhere."""
    suite.write(
        text="""
        import timetracer_otel

        @pytest.mark.timetracer
        def test_app():
            timetracer_otel.install(mode="record", dir=os.path.abspath("elsewhere"))
            assert ask()["number"] == 1
            timetracer_otel.uninstall()
            assert ask()["number"] == 2
        """
    )
    suite.run().assert_outcomes(passed=1)
    suite.run("--timetracer-strict").assert_outcomes(passed=1)
    assert not (suite.path / "elsewhere").exists()


BLOCKED = """
def test_plain():
    ask()

@pytest.mark.block_network(allowed_hosts=["127[.]0[.]0[.].*"])
def test_allowed():
    ask()

@pytest.mark.block_network
def test_blocked():
    ask()

@pytest.mark.timetracer
def test_recorded():
    ask()
"""


def test_a_blocked_network_is_there_for_recordings_only(suite: Suite, server: Server) -> None:
    """By the option in every test, by the marker in one; hosts can be let pass."""
    suite.write(text=BLOCKED)
    suite.run().assert_outcomes(passed=3, failed=1)
    result = suite.run("--block-network", "--timetracer-mode=all")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*NetworkBlockedError: Network is disabled: connect to *127.0.0.1*"])
    suite.run("--block-network", "--allowed-hosts=localhost,127[.].*").assert_outcomes(passed=4)
    asked = server.asked
    suite.run("--block-network", "-k", "recorded or plain").assert_outcomes(passed=1, failed=1)
    assert server.asked == asked


@pytest.mark.system
def test_tests_in_any_order_under_xdist(suite: Suite, server: Server) -> None:
    """Recorded and replayed by several workers."""
    tests = [
        f"\n@pytest.mark.timetracer\ndef test_{n}():\n    assert ask('/{n}')['path'] == '/{n}'\n" for n in range(12)
    ]
    suite.write(text="".join(tests))
    suite.run_apart("-n", "2").assert_outcomes(passed=12)
    random.Random(1).shuffle(tests)
    suite.write(text="".join(tests))
    asked = server.asked
    suite.run_apart("-n", "2").assert_outcomes(passed=12)
    assert server.asked == asked == 12
