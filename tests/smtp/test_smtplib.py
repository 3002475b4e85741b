"""What programs see by smtplib is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import signal
import smtplib
import socket
import uuid
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.smtp.mail_server import PASSWORD, TRUSTING, USER, MailServer, serving
from tests.smtp.seeing import SENDER, TO, mail, seen
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing
from timetracer_otel.cassette.loading import load
from timetracer_otel.families.smtp.rendering import render

LOCAL: dict[str, Any] = {"host": "127.0.0.1", "timeout": 5, "context": TRUSTING}


def rendered(folder: Path) -> list[dict[str, Any]]:
    """The calls of a recording, as people see them."""
    (session,) = load(sorted(folder.rglob("SESSION*"))).sessions.values()
    return [render(call) for call in session.calls]


@pytest.fixture(autouse=True)
def _own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test ask a name server for the name of its machine."""
    monkeypatch.setattr(socket, "getfqdn", lambda _name="": "client.test")


def plain(server: MailServer) -> list[Any]:
    """Commands of all kinds, and mails that are taken, partly taken, and refused at each step."""
    client = smtplib.SMTP("127.0.0.1", server.port, timeout=5)
    found = [
        seen(client.noop),
        seen(client.ehlo),
        client.esmtp_features,
        seen(client.send_message, mail()),
        seen(client.sendmail, SENDER, [TO, "refused@example.com", "later@example.com"], "Subject: a\r\n\r\ntext"),
        seen(client.sendmail, SENDER, ["refused@example.com"], "Subject: b\r\n\r\ntext"),
        seen(client.sendmail, "banned@example.com", [TO], "Subject: c\r\n\r\ntext"),
        seen(client.sendmail, SENDER, [TO], "Subject: spam\r\n\r\ntext"),
        seen(client.sendmail, SENDER, [TO], b""),
        seen(client.sendmail, SENDER, [TO], bytes(range(128)) * 3, ["8BITMIME"]),
        seen(client.mail, SENDER),
        seen(client.rcpt, TO),
        seen(client.noop),
        seen(client.rset),
        seen(client.data, b"nothing"),
        seen(client.verify, TO),
        seen(client.expn, "example.com"),
        seen(client.help),
        seen(client.docmd, "FROB", "now"),
        seen(client.send_message, mail("Again")),
        seen(client.quit),
        seen(client.noop),
        seen(client.connect, "127.0.0.1", server.port),
        seen(client.sendmail, SENDER, [TO, "drop@example.com"], "Subject: d\r\n\r\ntext"),
        seen(client.noop),
    ]
    with smtplib.SMTP(f"127.0.0.1:{server.port}", timeout=5) as other:
        found.append(seen(other.sendmail, SENDER, [TO], "Subject: drop\r\n\r\ntext"))
    with smtplib.SMTP(f"127.0.0.1:{server.port}", timeout=5) as other:
        found.append(seen(other.sendmail, SENDER, ["closing@example.com"], "Subject: e\r\n\r\ntext"))
    with smtplib.SMTP("127.0.0.1", server.port, timeout=0.2) as other:
        found.append(seen(other.sendmail, SENDER, ["silent@example.com"], "Subject: f\r\n\r\ntext"))
    return found


def secure(server: MailServer) -> list[Any]:
    """STARTTLS, TLS from the start, and log-ins of each mechanism, right and wrong."""
    found: list[Any] = []
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        with smtplib.SMTP("127.0.0.1", server.port, timeout=5) as client:
            found += [seen(client.starttls, context=TRUSTING), seen(client.ehlo)]
            client.esmtp_features["auth"] = mechanism
            found += [seen(client.login, USER, PASSWORD), seen(client.send_message, mail(mechanism))]
    with smtplib.SMTP_SSL("127.0.0.1", server.tls_port, timeout=5, context=TRUSTING) as client:
        found += [seen(client.login, USER, "wrong"), seen(client.login, USER, PASSWORD)]
        found += [client.esmtp_features, seen(client.send_message, mail("SSL"))]
    return found


def by_lmtp(server: MailServer) -> list[Any]:
    """A reply for each recipient, which the client has to ask for."""
    client = smtplib.LMTP("127.0.0.1", server.port, timeout=5)
    return [
        seen(client.sendmail, SENDER, [TO, "refused@example.com", "carol@example.com"], "Subject: a\r\n\r\ntext"),
        seen(client.getreply),
        seen(client.quit),
    ]


@pytest.mark.parametrize("scenario", [plain, secure, by_lmtp], ids=lambda one: one.__name__)
def test_the_same_is_seen(scenario: Callable[[MailServer], list[Any]], tmp_path: Path) -> None:
    """Without us, recorded, and replayed by another port; nothing is missed, and nothing left unused."""
    with serving(MailServer(lmtp=scenario is by_lmtp)) as server:
        without = scenario(server)
    with serving(MailServer(lmtp=scenario is by_lmtp)) as server, testing.record(tmp_path):
        recorded = scenario(server)
    with testing.replay(tmp_path) as replay:
        replayed = scenario(MailServer(port=1, tls_port=2))
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    assert [type(one) for one in recorded] == [type(one) for one in without]
    assert PASSWORD not in "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))


def test_recorded_mails_are_readable(tmp_path: Path) -> None:
    """By their headers, texts and attachments, as ``show`` prints them; log-ins are not."""
    with serving() as server, testing.record(tmp_path), smtplib.SMTP_SSL(port=server.tls_port, **LOCAL) as client:
        client.login(USER, PASSWORD)
        client.send_message(mail(text="Grüße"), to_addrs=[TO, "carol@example.com"])
    shown = {call["request"] if isinstance(call["request"], str) else "mail": call for call in rendered(tmp_path)}
    sent = shown["mail"]["request"]
    assert (sent["from"], sent["to"]) == (SENDER, [TO, "carol@example.com"])
    assert (sent["headers"]["Subject"], sent["text"], sent["html"]) == ("Hello", "Grüße\n", "<p>Grüße</p>\n")
    assert [(one["name"], one["size"]) for one in sent["attachments"]] == [("bill.pdf", 256)]
    assert "queued as" in shown["mail"]["response"][-1]
    assert any(request.startswith(("AUTH PLAIN [", "AUTH CRAM-MD5")) for request in shown)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"subject": "Good-bye"}, "Subject: 'Hello' recorded, 'Good-bye' asked"),
        ({"text": "Grüße, Bob!"}, "text: "),
        ({"bill": b"other"}, "attachments"),
        ({"to": ["carol@example.com"]}, "to"),
        ({"to": [TO, "carol@example.com"]}, "to"),
        ({"sender": "boss@example.com"}, "from: 'shop@example.com' recorded, 'boss@example.com' asked"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_a_changed_mail_is_missed(changed: dict[str, Any], named: str, tmp_path: Path) -> None:
    """The miss names what is different in it, and nothing else."""

    def send(port: int, sender: str = SENDER, to: list[str] | None = None, **parts: Any) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            client.send_message(mail(**parts), sender, to or [TO])

    with serving() as server, testing.record(tmp_path):
        send(server.port)
    with testing.replay(tmp_path) as replay, pytest.raises(ReplayMiss, match=r"smtp send") as missed:
        send(1, **changed)
    assert named in str(missed.value)
    assert len(replay.outcome().misses) == 1


def test_what_a_program_makes_anew_may_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, boundaries, dates, links with tokens in a text that is sent in base64, and the name of the machine."""

    def send(port: int, host: str, seed: int) -> Any:
        monkeypatch.setattr(socket, "getfqdn", lambda _name="": host)
        message = mail(text=f"Grüße https://shop.example.com/{uuid.UUID(int=seed * 0x1F2E3D4C5B6A79880011223344)}")
        message["Message-ID"], message["Date"] = f"<{seed}@{host}>", formatdate(1_700_000_000 + seed)
        message.set_boundary(f"==={seed}===")
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            return client.send_message(message)

    with serving() as server, testing.record(tmp_path):
        send(server.port, "one.example.com", 1)
    with testing.replay(tmp_path) as replay:
        send(1, "another.example.net", 22)
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])


@pytest.mark.parametrize("greeting", ["554 No", "220-two\r\n220 lines", "what", None], ids=str)
def test_servers_that_refuse(greeting: str | None, tmp_path: Path) -> None:
    """At the greeting, or where nobody listens: the same exception with the same words."""

    def scenario(port: int) -> list[Any]:
        return [seen(type, seen(smtplib.SMTP, "127.0.0.1", port)), seen(smtplib.SMTP().connect, "127.0.0.1", port)]

    with serving(MailServer(greeting=greeting)) as server, testing.record(tmp_path):
        recorded = scenario(server.port)
        recorded += scenario(1)
    with testing.replay(tmp_path):
        assert identical([*scenario(server.port), *scenario(1)], recorded)


def test_a_client_that_was_there_before(tmp_path: Path) -> None:
    """Its open connection is recorded, and in a replay it is asked for nothing."""
    with serving() as server:
        client = smtplib.SMTP("127.0.0.1", server.port, timeout=5)
        client.ehlo()
        with testing.record(tmp_path):
            client.send_message(mail())
        with testing.replay(tmp_path) as replay:
            client.send_message(mail())
        assert len(server.mails) == 1
        assert (replay.outcome().misses, replay.outcome().unused) == ([], [])
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        client.connect("127.0.0.1", server.port)
        client.send_message(mail())
        client.quit()
        assert len(server.mails) == 2


def test_a_program_that_waits_no_longer(tmp_path: Path) -> None:
    """It gives a mail up by an exception of its own, which a replay lets it do, and goes on by the same connection."""

    class GaveUpError(BaseException):
        pass

    def give_up(_signal: int, _frame: object) -> None:
        raise GaveUpError

    def scenario(port: int) -> Any:
        with smtplib.SMTP("127.0.0.1", port) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(GaveUpError):
                client.sendmail(SENDER, ["silent@example.com"], "Subject: a\r\n\r\ntext")
            return client.noop()

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        with serving() as server, testing.record(tmp_path):
            recorded = scenario(server.port)
        with testing.replay(tmp_path) as replay:
            assert scenario(1) == recorded
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])
