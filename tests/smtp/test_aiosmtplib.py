"""What programs see by aiosmtplib is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import uvloop

from tests.smtp.mail_server import PASSWORD, TRUSTING, USER, MailServer, serving
from tests.smtp.seeing import SENDER, TO, mail, seen_later
from tests.support.same import identical
from timetracer_otel import testing


async def values(server: MailServer) -> list[Any]:
    """Commands of all kinds, and mails that are taken, partly taken, and refused at each step."""
    named: dict[str, Any] = {"hostname": "127.0.0.1", "timeout": 5, "local_hostname": "client.test"}
    client = aiosmtplib.SMTP(port=server.port, start_tls=False, **named)

    async def leave() -> None:
        client.close()  # older versions leave it to the program when a connection has broken

    asked: list[Callable[[], Any]] = [
        client.connect,
        client.noop,
        client.ehlo,
        lambda: client.send_message(mail()),
        lambda: client.sendmail(SENDER, [TO, "refused@example.com"], "Subject: a\r\n\r\ntext"),
        lambda: client.sendmail(SENDER, ["refused@example.com"], "Subject: b\r\n\r\ntext"),
        lambda: client.sendmail("banned@example.com", [TO], "Subject: c\r\n\r\ntext"),
        lambda: client.sendmail(SENDER, [TO], "Subject: spam\r\n\r\ntext"),
        lambda: client.vrfy(TO),
        client.rset,
        client.quit,
        client.noop,
        client.connect,
        lambda: client.sendmail(SENDER, [TO, "drop@example.com"], "Subject: d\r\n\r\ntext"),
        client.noop,
        leave,
        client.connect,
        lambda: client.sendmail(SENDER, [TO], "Subject: drop\r\n\r\ntext"),
        leave,
        client.connect,
        lambda: client.mail(SENDER),
        lambda: asyncio.wait_for(client.rcpt("silent@example.com"), 0.1),
        client.quit,
        client.connect,
        lambda: client.mail(SENDER),
        lambda: client.rcpt("silent@example.com", timeout=0.2),
        leave,
        lambda: client.connect(username=USER, password="wrong", start_tls=True, tls_context=TRUSTING),
        lambda: client.connect(username=USER, password=PASSWORD, start_tls=True, tls_context=TRUSTING),
        lambda: client.send_message(mail("Safe")),
        client.quit,
    ]  # fmt: skip
    found = [await seen_later(do()) for do in asked]
    secure: dict[str, Any] = {"port": server.tls_port, "use_tls": True, "tls_context": TRUSTING}
    sends = [aiosmtplib.send(mail(f"At once {number}"), **named, **secure) for number in range(5)]
    return [*found, *await asyncio.gather(*map(seen_later, sends))]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_the_same_is_seen(loop: Callable[[], Any], tmp_path: Path) -> None:
    """By other ports; nothing is missed, and nothing left unused."""

    def scenario(server: MailServer) -> list[Any]:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(values(server))

    with serving() as server:
        without = scenario(server)
    with serving() as server, testing.record(tmp_path):
        recorded = scenario(server)
    with testing.replay(tmp_path) as replay:
        replayed = scenario(MailServer(port=1, tls_port=2))
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    assert [type(one) for one in recorded] == [type(one) for one in without]
    assert PASSWORD not in "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
