"""A consumer of a library that nobody has heard of: its messages are lanes, handed out again with no broker."""

from __future__ import annotations

import base64
import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.commands import OTEL, REPLAY
from tests.support.made_up import install, run
from tests.support.serving import Telling, serving
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.kinds import message

PIGEON = r'''"""A made-up message broker, and its client: a line asks, a line answers, in JSON."""

import base64
import json
import os
import socket
from dataclasses import dataclass


@dataclass
class Letter:
    """A message."""

    topic: str
    body: bytes
    headers: list
    number: int


class Consumer:
    """Takes messages. Those of a consumer that goes away without telling come again."""

    def __init__(self, topic):
        self.topic = topic
        self._connection = self._connect()

    def _connect(self):
        return socket.create_connection(("127.0.0.1", int(os.environ["PIGEON_PORT"])), timeout=10).makefile("rw")

    def _ask(self, **what):
        self._connection.write(json.dumps(what) + "\n")
        self._connection.flush()
        return json.loads(self._connection.readline())

    def _fetch(self, most):
        told = self._ask(do="fetch", topic=self.topic, most=most)
        return [
            Letter(one["topic"], base64.b64decode(one["body"]), one["headers"], one["number"]) for one in told
        ]

    def poll(self):
        """Give the next message; None when there is none."""
        return next(iter(self._fetch(1)), None)

    def poll_many(self, most):
        """Give several messages at once."""
        return self._fetch(most)

    def ack(self, letter):
        """Say that a message was handled."""
        self._ask(do="ack", number=letter.number)

    def nack(self, letter, again=False):
        """Say that a message was not handled."""
        self._ask(do="nack", number=letter.number, again=again)

    def commit(self):
        """Say that all were handled."""
        self._ask(do="commit", topic=self.topic)

    def close(self):
        """Go away."""
        self._ask(do="bye")
'''
DECLARATION = '''"""Each message or batch is a lane; in a replay consumers get the recorded ones, then nothing."""

from timetracer_otel import seams
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.kinds import message
from timetracer_otel.families.kinds.message import Delivery, Record
from timetracer_otel.families.messaging.consuming import Consumption
from timetracer_otel.seams import Integration, Patch

NAME = "pigeon"


def place(topic, is_batch):
    return f"{topic} by the batch" if is_batch else topic


waiting = Waiting(
    NAME,
    message.KIND.name,
    lambda lane: place(message.records(lane.entry)[0].destination, message.is_batch(lane.entry)),
)


def work_of(consumer):
    if not hasattr(consumer, "_work"):
        consumer._work = Consumption()
    return consumer._work


def connect(wrapped, consumer, args, kwargs):
    return wrapped() if seams.responder(NAME) is None else None


def take(is_batch):
    def poll(wrapped, consumer, args, kwargs):
        work = work_of(consumer)
        work.end()
        if seams.responder(NAME) is None:
            told = wrapped(*args, **kwargs)
            letters = told if is_batch else [told] if told is not None else []
            if letters:
                work.begin(Delivery(consumer.topic, [record_of(one) for one in letters], NAME, is_batch=is_batch))
            return told
        import pigeon

        lane = waiting.next(lambda one: one == place(consumer.topic, is_batch))
        if lane is None:
            return [] if is_batch else None
        came = message.records(lane.entry)
        work.begin(Delivery(consumer.topic, came, NAME, is_batch=is_batch, follows=lane.id))
        letters = [pigeon.Letter(one.destination, one.body, [list(pair) for pair in one.headers],
                                 one.properties["number"]) for one in came]
        return letters if is_batch else letters[0]

    return poll


def record_of(letter):
    return Record(letter.topic, letter.body, None, list(map(tuple, letter.headers)), {"number": letter.number})


def settle(what):
    def told(wrapped, consumer, args, kwargs):
        more = {"again": kwargs["again"]} if "again" in kwargs else {}
        work_of(consumer).settle(what, 0 if args else None, **more)
        return wrapped(*args, **kwargs) if seams.responder(NAME) is None else None

    return told


def close(wrapped, consumer, args, kwargs):
    work_of(consumer).end()
    return wrapped() if seams.responder(NAME) is None else None


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch("pigeon", "Consumer._connect", connect),
        Patch("pigeon", "Consumer.poll", take(is_batch=False)),
        Patch("pigeon", "Consumer.poll_many", take(is_batch=True)),
        Patch("pigeon", "Consumer.ack", settle("ack")),
        Patch("pigeon", "Consumer.nack", settle("nack")),
        Patch("pigeon", "Consumer.commit", settle("commit")),
        Patch("pigeon", "Consumer.close", close),
    ),
    packages={"pigeon": "pigeon"},
    plumbing=("pigeon",),
)
'''
PROGRAM = r"""
import json, os, sys, urllib.request
import pigeon

def price(order):
    with urllib.request.urlopen(f"{os.environ['PEER']}/{order}", timeout=10) as reply:
        return int(reply.read())

def handle(consumer, letter):
    order = json.loads(letter.body)
    if order["count"] < 0:
        consumer.nack(letter, again=False)
        return
    price(order["id"])
    if order["count"] != int(os.environ.get("LATE", "0")):
        consumer.ack(letter)

orders = pigeon.Consumer("orders")
while (letter := orders.poll()) is not None:
    handle(orders, letter)
many = pigeon.Consumer("events")
while letters := many.poll_many(2):
    print(sum(price(letter.body.decode("latin-1")[0]) for letter in letters), flush=True)
    many.commit()
last = pigeon.Consumer("last")
letter = last.poll()
if letter.headers:
    last.ack(letter)
    raise KeyError(letter.body.decode())
"""
ORDERS = (b'{"id": 1, "count": 2}', b'{"id": 2, "count": -1}', b'{"id": 3, "count": 1}')
EVENTS = (b"1\xff\x00", b"2", b"3")


class Broker(socketserver.ThreadingTCPServer):
    """Hands out what it has, and keeps what it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.told: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []
        for topic, bodies in (("orders", ORDERS), ("events", EVENTS), ("last", (b"the end",))):
            for body in bodies:
                number = len(self.waiting)
                headers = [["from", "shop"], ["authorization", "Bearer s3cr3t-token-of-the-shop"]]
                self.waiting.append(
                    {"topic": topic, "body": base64.b64encode(body).decode(), "headers": headers, "number": number}
                )

    def answer(self, asked: dict[str, Any]) -> object:
        """Answer one line."""
        if asked["do"] != "fetch":
            self.told.append(asked)
            return True
        given = [one for one in self.waiting if one["topic"] == asked["topic"]][: asked["most"]]
        self.waiting = [one for one in self.waiting if one not in given]
        return given


class _Conversation(socketserver.StreamRequestHandler):
    server: Broker

    def handle(self) -> None:
        """Answer line by line."""
        for line in self.rfile:
            self.wfile.write(json.dumps(self.server.answer(json.loads(line))).encode() + b"\n")


class _Prices(Telling):
    def told(self) -> str:
        """Ten times the number that is asked for."""
        return str(10 * int(self.path[1:]))


@contextmanager
def broker() -> Iterator[Broker]:
    """A broker with messages."""
    with Broker() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Recorded(NamedTuple):
    """A recorded consumer.

    Attributes:
        folder: where it is installed, with its cassettes.
        peer: the service that it asked, which is gone.
        printed: what it printed.
        told: what it told its broker.
    """

    folder: Path
    peer: str
    printed: str
    told: list[dict[str, Any]]

    def lanes(self) -> list[Lane]:
        """Its lanes, in order of start."""
        found = loading.load(below(self.folder / "cassettes")).lanes
        return sorted(found, key=lambda lane: lane.entry.start if lane.entry else 0)

    def replayed(self, *options: str, program: str = PROGRAM) -> tuple[int, str]:
        """Run it again without broker and service; its exit status and what was said."""
        (self.folder / "again.py").write_text(program)
        command = (*REPLAY, *options, "cassettes", "--", sys.executable, "again.py")
        done = run(self.folder, *command, PIGEON_PORT="1", PEER=self.peer)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The program, recorded once. It ends by an exception of its own, in the middle of its last message."""
    folder = tmp_path_factory.mktemp("pigeon")
    install(folder, "pigeon", PIGEON, DECLARATION)
    (folder / "program.py").write_text(PROGRAM)
    with broker() as server, serving(_Prices) as peer:
        port = str(server.server_address[1])
        command = (*OTEL, "--traces_exporter", "timetracer", sys.executable, "program.py")
        done = run(folder, *command, PIGEON_PORT=port, PEER=peer)
        plain = run(folder, sys.executable, "program.py", PIGEON_PORT=port, PEER=peer)
    assert (done.returncode, "KeyError: 'the end'" in done.stderr) == (1, True), done.stderr
    assert plain.returncode == 1  # it has nothing left to take
    return Recorded(folder, peer, done.stdout, server.told)


def test_the_broker_is_told_the_same(recorded: Recorded) -> None:
    """The recording changes nothing of what the app says, in what order."""
    said = [(one["do"], one.get("number")) for one in recorded.told]
    assert said[:7] == [
        ("ack", 0), ("nack", 1), ("ack", 2), ("commit", None), ("commit", None), ("ack", 6),
    ][:7]  # fmt: skip
    assert recorded.printed == "30\n30\n"


def test_each_message_and_each_batch_is_a_lane(recorded: Recorded) -> None:
    """With its bytes, headers and place, its calls, and what was told of it."""
    lanes = recorded.lanes()
    names = [lane.entry.text(message.DESTINATION) for lane in lanes if lane.entry]
    assert names == ["orders", "orders", "orders", "events", "events", "last"]
    assert [len(lane.calls) for lane in lanes] == [1, 0, 1, 2, 1, 0]
    entries = [lane.entry for lane in lanes if lane.entry]
    came = [message.records(entry) for entry in entries]
    assert [[one.body for one in records] for records in came] == [
        [ORDERS[0]], [ORDERS[1]], [ORDERS[2]], list(EVENTS[:2]), [EVENTS[2]], [b"the end"],
    ]  # fmt: skip
    assert came[3][1].properties == {"number": 4}
    assert came[0][0].headers[0] == ("from", "shop")
    outcomes = [message.KIND.outcome(entry.attributes) for entry in entries if message.KIND.outcome]
    assert outcomes[:4] == [
        {"records": [["ack"]]}, {"records": [[{"nack": {"again": False}}]]}, {"records": [["ack"]]},
        {"records": [[], []], "all": ["commit"]},
    ]  # fmt: skip
    assert outcomes[5] == {
        "records": [["ack"]], "error": {"type": "builtins.KeyError", "args": ["the end"], "text": "'the end'"},
    }  # fmt: skip


def test_secrets_of_headers_are_hidden(recorded: Recorded) -> None:
    """They are in no file; a replay has them by the key."""
    text = b"".join(file.read_bytes() for file in (recorded.folder / "cassettes").rglob("*.jsonl"))
    assert b"s3cr3t" not in text
    program = PROGRAM + "\nprint(letter.headers)\n"
    program = program.replace("if letter.headers:", "print(letter.headers)\nif letter.headers:")
    assert "Bearer s3cr3t-token-of-the-shop" in recorded.replayed(program=program)[1]


def test_it_is_listed_and_shown(recorded: Recorded) -> None:
    """By the word of its kind and its topic; what was refused is told as an error."""
    timetracer = (sys.executable, "-m", "timetracer_otel.cli")
    listed = json.loads(run(recorded.folder, *timetracer, "list", "cassettes", "--json").stdout)
    rows = [(one["method"], one["target"], one["error"]) for one in reversed(listed) if one["kind"] == "lane"]
    assert rows[:5] == [
        ("MESSAGE", "orders", None), ("MESSAGE", "orders", "NACK"), ("MESSAGE", "orders", None),
        ("BATCH", "events", None), ("BATCH", "events", None),
    ]  # fmt: skip
    assert rows[5][2].startswith("builtins.KeyError")
    shown = run(recorded.folder, *timetracer, "show", "cassettes").stdout
    assert '"count": 2' in shown
    assert "destination: orders" in shown
    assert '"from", "shop"' in shown


def test_replayed_with_the_broker_gone(recorded: Recorded) -> None:
    """The loop gets each recorded message once, in order, then none; it ends as it did."""
    status, said = recorded.replayed()
    assert status == 1, said
    assert recorded.printed in said
    assert "KeyError: 'the end'" in said
    assert "6 requests, 6 of them recorded" in said
    assert "5 calls answered (5 exact), 0 missed, 0 unused" in said, said


@pytest.mark.system
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", ""),
        ('if order["count"] < 0', 'if order["count"] < -1', "outcome"),
        ('    price(order["id"])\n', '    price(order["id"] + 4)\n', "/5"),
        ("many.commit()", "pass", "outcome: $.all"),
        ("consumer.ack(letter)", "consumer.nack(letter)", "outcome: $.records[0][0]: 'ack' recorded, 'nack' now"),
        ("raise KeyError(letter", "raise ValueError(letter", "outcome: $.error"),
    ],
)
def test_verified(recorded: Recorded, old: str, new: str, told: str) -> None:
    """An unchanged program passes; another call, another word to the broker, another end are found and named."""
    status, said = recorded.replayed("--verify", program=PROGRAM.replace(old, new, 1))
    if told:
        assert (status, told in said) == (1, True), said
    else:
        assert (status, "6 checked, 6 passed, 0 differ" in said) == (0, True), said


def test_messages_that_nobody_takes_fail(recorded: Recorded) -> None:
    """A program that takes only some of them is an error for each of the others."""
    program = PROGRAM.replace('pigeon.Consumer("events")', 'pigeon.Consumer("nowhere")')
    status, said = recorded.replayed("--verify", program=program)
    assert status == 1, said
    assert "2 not driven" in said, said
    assert "the kind message that pigeon begins" in said, said
