"""What a test can say of its calls, and what it draws."""

from __future__ import annotations

from tests.plugin.conftest import Server
from tests.plugin.suites import Suite
from tests.support.mongo import MongoServer

pytest_plugins = ["pytester"]


def test_calls_are_the_same_recorded_and_replayed(suite: Suite, mongo_server: MongoServer) -> None:
    """Decoded, chosen by what they are, also while the test is under way; commands of the driver itself are none."""
    suite.write(
        text=f"""
        import pymongo

        CLIENT = pymongo.MongoClient({mongo_server.uri!r}, serverSelectionTimeoutMS=30000)

        @pytest.fixture(scope="module", autouse=True)
        def closing():
            yield
            CLIENT.close()

        def test_calls(timetracer):
            CLIENT.shop.orders.insert_one({{"_id": str(uuid.uuid4()), "total": 3}})
            assert [call.operation for call in timetracer.calls()] == ["insert"]
            ask("/rate?to=EUR")
            CLIENT.shop.items.find_one({{"total": 3}})
            (insert,) = timetracer.calls(system="mongodb", collection="orders")
            assert insert.namespace == "shop"
            assert insert.request["documents"][0]["total"] == 3
            assert insert.response["n"] == 1
            assert not {{"lsid", "$clusterTime", "txnNumber"}} & set(insert.request)
            (get,) = timetracer.calls(system="http", method="GET")
            assert get.url == URL + "/rate?to=EUR"
            assert timetracer.calls(url=URL + "/rate?to=EUR") == [get]
            assert get.response["status"] == 200
            assert get.response["body"]["number"] == 1
            assert len(timetracer.calls()) == 3
            with pytest.raises(TypeError, match="'colection'"):
                timetracer.calls(colection="orders")
        """
    )
    suite.run().assert_outcomes(passed=1)
    mongo_server.stop()
    suite.run("--timetracer-strict").assert_outcomes(passed=1)


def test_what_a_test_draws_is_what_it_drew_when_it_was_recorded(suite: Suite, server: Server) -> None:
    """Ids, times and random values: those of the test itself, too. A test can have them fresh."""
    draws = """
    import random

    @pytest.mark.timetracer()
    def test_draws():
        id = ask(f"/{uuid.uuid4()}?at={time.time()}&luck={random.random()}")["path"]
        print("drew", id)
    """
    suite.write(text=draws)
    first = suite.run("-s").stdout.str().partition("drew ")[2].partition("\n")[0]
    assert first in suite.run("-s", "--timetracer-mode=none").stdout.str()
    assert server.asked == 1
    suite.write(text=draws.replace("timetracer()", "timetracer(nondeterminism='none')"))
    suite.run().assert_outcomes(failed=1)


def test_a_time_of_the_test_runner_is_the_real_one(suite: Suite) -> None:
    """It times its tests by clocks that the replay does not touch."""
    suite.write(text="\n@pytest.mark.timetracer\ndef test_waits():\n    time.perf_counter(), time.time()\n    ask()\n")
    suite.run()
    result = suite.run("--durations=0", "--durations-min=0.0", "-vv")
    result.assert_outcomes(passed=1)
    (line,) = (line for line in result.outlines if line.endswith("test_waits") and "s call" in line)
    assert 0 <= float(line.split("s ")[0]) < 60
