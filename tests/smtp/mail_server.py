"""A small mail server in a thread of the test: it keeps what it is sent, and misbehaves for addresses that say so.

Recipients ``refused@``, ``later@``, ``drop@`` (the connection), ``silent@`` (no reply), ``closing@`` (421); senders
``banned@``; ``spam`` and ``drop`` as subjects.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import trustme

__all__ = ["PASSWORD", "USER", "MailServer", "serving"]

USER, PASSWORD = "anna@example.com", "Tr0ub4dor&3-and-a-horse"
_AUTHORITY: Final = trustme.CA()
TRUSTING: Final = ssl.create_default_context()
"""What a client trusts this server by."""
_AUTHORITY.configure_trust(TRUSTING)


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _AUTHORITY.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@dataclass
class MailServer:
    """What a server was sent, and where it listens.

    Attributes:
        lmtp: whether it speaks LMTP.
        greeting: what it says first; None to close at once.
        port: of SMTP.
        tls_port: of SMTP over TLS.
        mails: contents.
    """

    lmtp: bool = False
    greeting: str | None = "220 mail.test ESMTP"
    port: int = 0
    tls_port: int = 0
    mails: list[bytes] = field(default_factory=list)
    sessions: list[Any] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(0x4F1A2B3C5D))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client."""
        self.sessions.append(asyncio.current_task())
        self.writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await _Session(self, reader, writer).speak()
        writer.close()


class _LeftError(ConnectionError):
    """Raised where the server drops the connection."""


class _Session:
    def __init__(self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.secure = writer.get_extra_info("sslcontext") is not None
        self.accepted = 0

    async def speak(self) -> None:
        if self.server.greeting is None:
            return
        await self.say(f"{self.server.greeting} #{next(self.server.numbers)}")
        while line := (await self.reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            handle = getattr(self, verb.lower(), None)
            await (self.say("502 5.5.1 What?") if handle is None else handle(rest))
            if verb.upper() == "QUIT":
                return

    async def say(self, *lines: str) -> None:
        told = [f"{line[:3]}-{line[4:]}\r\n" for line in lines[:-1]] + [lines[-1] + "\r\n"]
        self.writer.write("".join(told).encode())
        await self.writer.drain()

    async def ehlo(self, name: str) -> None:
        offers = ["250-SIZE 99999999", "250-8BITMIME", "250-SMTPUTF8"]
        offers.append("250-AUTH PLAIN LOGIN CRAM-MD5" if self.secure else "250-STARTTLS")
        await self.say(f"250-mail.test at your service, {name} #{next(self.server.numbers)}", *offers, "250 HELP")

    lhlo = ehlo

    async def helo(self, _name: str) -> None:
        await self.say("250 mail.test")

    async def starttls(self, _rest: str) -> None:
        await self.say("220 Go ahead")
        await self.writer.start_tls(_tls())
        self.secure = True

    async def auth(self, rest: str) -> None:
        mechanism, _, first = rest.partition(" ")
        if mechanism == "PLAIN":
            said = base64.b64decode(first or await self.asked("")).split(b"\0")[1:]
            right = said == [USER.encode(), PASSWORD.encode()]
        elif mechanism == "LOGIN":
            user = first or await self.asked("Username:")
            secret = await self.asked("Password:")
            right = [base64.b64decode(one).decode() for one in (user, secret)] == [USER, PASSWORD]
        else:
            challenge = f"<{next(self.server.numbers)}@mail.test>"
            expected = hmac.new(PASSWORD.encode(), challenge.encode(), "md5").hexdigest()
            right = base64.b64decode(await self.asked(challenge)).decode() == f"{USER} {expected}"
        await self.say("235 2.7.0 Accepted" if right else "535 5.7.8 Username and password not accepted")

    async def asked(self, what: str) -> str:
        await self.say("334 " + base64.b64encode(what.encode()).decode())
        return (await self.reader.readline()).decode().strip()

    async def mail(self, rest: str) -> None:
        self.accepted = 0
        await self.say("553 5.7.1 Not you" if "banned@" in rest else "250 2.1.0 Ok")

    async def rcpt(self, rest: str) -> None:
        if "drop@" in rest:
            raise _LeftError
        if "silent@" in rest:
            return
        told = {"refused@": "550 5.1.1 No such user", "later@": "451 4.7.1 Try later", "closing@": "421 4.3.2 Closing"}
        refusal = next((text for name, text in told.items() if name in rest), None)
        self.accepted += refusal is None
        await self.say(refusal or "250 2.1.5 Ok")

    async def data(self, _rest: str) -> None:
        if not self.accepted:
            await self.say("503 5.5.1 No recipients")
            return
        await self.say("354 End data with <CR><LF>.<CR><LF>")
        content = b""
        while not (content == b".\r\n" or content.endswith(b"\r\n.\r\n")):
            content += await self.reader.read(1 << 20)
        if b"Subject: drop" in content:
            raise _LeftError
        if b"Subject: spam" in content:
            await self.say("554 5.7.1 Spam")
            return
        self.server.mails.append(content)
        for _ in range(self.accepted if self.server.lmtp else 1):
            await self.say(f"250 2.0.0 Ok: queued as {next(self.server.numbers):016x}")

    async def noop(self, _rest: str) -> None:
        await self.say("250 2.0.0 Still here")

    async def rset(self, _rest: str) -> None:
        self.accepted = 0
        await self.say("250 2.0.0 Forgotten")

    async def vrfy(self, rest: str) -> None:
        await self.say(f"252 2.0.0 {rest}")

    async def expn(self, rest: str) -> None:
        await self.say(f"250-one@{rest}", f"250 two@{rest}")

    async def help(self, _rest: str) -> None:
        await self.say("214 Ask a neighbour")

    async def quit(self, _rest: str) -> None:
        await self.say(f"221 2.0.0 Bye #{next(self.server.numbers)}")


@contextmanager
def serving(server: MailServer | None = None, path: str | None = None) -> Iterator[MailServer]:
    """Run a server as long as the block: on two ports of loopback, or at a path."""
    server, ready = server or MailServer(), threading.Event()
    loop = asyncio.new_event_loop()

    async def run(stop: asyncio.Event) -> None:
        if path is not None:
            listening = [await asyncio.start_unix_server(server.serve, path)]
        else:
            plain = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 22)
            secure = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=_tls(), limit=1 << 22)
            listening = [plain, secure]
            server.port, server.tls_port = (one.sockets[0].getsockname()[1] for one in listening)
        ready.set()
        await stop.wait()
        for one in listening:
            one.close()
        for writer in server.writers:
            with suppress(AttributeError):  # of Python before 3.11.3, where its TLS is over
                writer.transport.abort()
        await asyncio.gather(*server.sessions)

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(stop),), daemon=True)
    thread.start()
    assert ready.wait(10), "the mail server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
