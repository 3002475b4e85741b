"""Consumers and producers of each client: recorded at a real broker, replayed and verified with it gone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kafka.harness import Recorded, operations, recorded
from timetracer_otel import spans
from timetracer_otel.cassette.model import Kind
from timetracer_otel.families.kafka import calls
from timetracer_otel.families.kinds import message

pytestmark = pytest.mark.system  # kfake is built with Go


class Client(NamedTuple):
    """A client, its program, and OpenTelemetry's instrumentor of it."""

    name: str
    program: str
    instrumentor: str


CLIENTS = (
    Client("aiokafka", "aiokafka_orders.py", "aiokafka"),
    Client("kafka-python", "kafka_python_orders.py", "kafka"),
    Client("confluent-kafka", "confluent_orders.py", "confluent_kafka"),
)


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def consumer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Each client's program, recorded once."""
    client: Client = request.param
    return recorded(client.program, tmp_path_factory.mktemp("kafka"))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_without_the_instrumentor(client: Client, tmp_path: Path) -> None:
    """The spans are ours, and all else is the same."""
    found = recorded(client.program, tmp_path, without=client.instrumentor)
    test_each_message_and_each_batch_is_a_lane(found)
    [sent] = [call for call in found.lanes()[0].calls if call.kind is Kind.PRODUCER]
    assert (sent.name, sent.scope.name) == ("priced send", spans.TRACER_NAME)
    test_verified(found, "", "")


def test_recording_changes_nothing(consumer: Recorded) -> None:
    """Messages, reports, offsets and positions are those of a run without us."""
    assert consumer.printed == consumer.plain
    assert "offset" in consumer.printed


def test_each_message_and_each_batch_is_a_lane(consumer: Recorded) -> None:
    """With its bytes as they came, and the calls that were made for it."""
    lanes = consumer.lanes()
    entries = [lane.entry for lane in lanes if lane.entry is not None]
    assert {entry.kind for entry in entries} == {Kind.CONSUMER}
    orders = [lane for lane in lanes if lane.entry and lane.entry.text(message.DESTINATION) == "orders"]
    assert [operations(lane.calls)[:3] for lane in orders[:5]] == [
        ["GET", "send priced", "commit"],
        ["GET", "send priced", "commit"],
        ["GET", "send priced", "commit"],
        ["commit", "assignment", "position"],
        ["GET", "send priced", "commit"],
    ]
    assert [message.records(entry)[0].key for entry in entries[:5]] == [b"k0", b"k1", b"k2", b"k3", b"k4"]
    assert entries[0].text("messaging.system") == "kafka"
    events = [one for lane in lanes if lane not in orders and lane.entry for one in message.records(lane.entry)]
    assert [one.body for one in events][-4:] == [None, b"", b"text", b"last"]
    assert [one.properties["offset"] for one in events][-4:] == [1, 2, 3, 4]


def test_a_sent_message_has_its_report(consumer: Recorded) -> None:
    """Topic, key, headers, body, and what the broker said of it; trace headers are not the app's."""
    [sent] = [call for call in consumer.lanes()[0].calls if call.kind is Kind.PRODUCER]
    assert sent.payload(spans.REQUEST) == b'{"id": 0, "total": 0}'
    shown = calls.render(sent)
    assert shown["response"]["offset"] == 0
    assert shown["request"] == {
        "topic": "priced", "key": "k0", "headers": [["from", "orders"]], "body": {"id": 0, "total": 0},
    }  # fmt: skip
    assert sent.scope.name.startswith("opentelemetry.instrumentation.")


def test_secrets_of_headers_are_hidden(consumer: Recorded) -> None:
    """They are in no file; a replay has them by the key."""
    assert b"s3cr3t" not in b"".join(file.read_bytes() for file in consumer.cassettes.rglob("*.jsonl"))


def test_replayed_with_the_broker_gone(consumer: Recorded) -> None:
    """The loop gets each recorded message once, in order, and stops; what is printed is what was."""
    status, said = consumer.replayed()
    assert status == 0, said
    assert said.startswith(consumer.printed), said
    assert "0 missed, 0 unused" in said, said


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("", ""),
        ("value", "changed kafka send priced: $.body.total: 0 recorded, 1 now"),
        ("added", "extra kafka send refused"),
        ("dropped", "missing kafka send priced"),
        ("commit", "missing kafka commit shop"),
        ("call", "/40"),
    ],
)
def test_verified(consumer: Recorded, changed: str, told: str) -> None:
    """An unchanged program passes; another message, one more, one less, another call are found and named."""
    status, said = consumer.replayed("--verify", CHANGED=changed)
    count = len(consumer.lanes())
    if changed:
        assert (status, told in said) == (1, True), said
        assert f"{count} checked" in said, said  # also those behind a message that ends the program
    else:
        assert (status, f"{count} checked, {count} passed, 0 differ" in said) == (0, True), said


@pytest.mark.parametrize("consumer", CLIENTS[:1], indirect=True, ids=lambda client: client.name)
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("refactored", ""),
        ("topic", "extra kafka send prices"),
        ("key", "changed kafka send priced: $.key: 'k0' recorded, '' now"),
        ("header", "changed kafka send priced: $.headers[0][1]: 'orders' recorded, 'nobody' now"),
    ],
)
def test_a_message_that_ends_the_program(consumer: Recorded, changed: str, told: str) -> None:
    """It is named, and the program is started again for the others. How it is written does not count."""
    count = len(consumer.lanes())
    status, said = consumer.replayed("--verify", CHANGED=changed)
    if not told:
        assert (status, f"{count} checked, {count} passed, 0 differ" in said) == (0, True), said
        return
    assert (status, told in said) == (1, True), said
    assert f"{count} checked, {count - 1} passed, 1 differ" in said, said
    assert "problem: the command ended with status 1 at MESSAGE orders" in said, said
    assert "the command was started 2 times" in said, said
