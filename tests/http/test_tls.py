"""TLS: what verifies, what does not and why, client certificates, HTTP/2; tunnels through proxies."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import trustme

from tests.http.conftest import Run
from tests.http.secured import CLIENTS, Trust
from tests.http.server import ShapeServer
from tests.http.test_routes import Http2Server

pytestmark = pytest.mark.system  # seventy servers with certificates of their own, and minutes of one processor

Client = Callable[[str, Trust], Any]
LONG_AGO = datetime.now(UTC) - timedelta(days=60)
every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
ADDRESS = re.compile(r"0x[0-9a-f]+")
"""Of an object, which aiohttp puts into its message."""
PROXIED = {name: client for name, client in CLIENTS.items() if name != "tornado-simple"}


class Authority:
    """A certificate authority of the test's own, in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.ca = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca)

    def server(self, *names: str, not_after: datetime | None = None, wants_client: bool = False) -> ssl.SSLContext:
        """Give a server's side, with a certificate for names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        begin = None if not_after is None else not_after - timedelta(days=10)
        self._ca.issue_cert(*names, not_after=not_after, not_before=begin).configure_cert(context)
        if wants_client:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> str:
        """Give the file of a client's certificate and key."""
        path = self._folder / "client.pem"
        self._ca.issue_cert("client@shop.test").private_key_and_cert_chain_pem.write_to_path(str(path))
        return str(path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that no client trusts by itself."""
    return Authority(tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[[ssl.SSLContext], ShapeServer]]:
    """Start a server that speaks TLS; it is stopped with the test."""
    running: list[ShapeServer] = []

    def start(context: ssl.SSLContext) -> ShapeServer:
        running.append(ShapeServer(context).__enter__())
        return running[-1]

    yield start
    for server in running:
        server.stop()


Serve = Callable[[ssl.SSLContext], ShapeServer]


def gone(server: ShapeServer, ask: Callable[[], Any]) -> Callable[[], Any]:
    """The same question, after whose first answer the server is stopped."""

    async def asked() -> Any:
        result = ask()
        return await result if hasattr(result, "__await__") else result

    async def run() -> Any:
        try:
            return await asked()
        finally:
            server.stop()

    return run


@every_client
def test_verified(client: Client, authority: Authority, serve: Serve, both: Run) -> None:
    """An exchange over TLS that the client verifies replays with the server gone."""
    server = serve(authority.server("127.0.0.1"))
    recorded, replayed = both(gone(server, lambda: client(server.url + "/json", Trust(authority.ca))))
    assert recorded[0] == 200
    assert replayed == recorded


UNVERIFIED: dict[str, Callable[[Authority], tuple[ssl.SSLContext, Trust]]] = {
    "untrusted": lambda authority: (authority.server("127.0.0.1"), Trust()),
    "wrong host name": lambda authority: (authority.server("elsewhere.test"), Trust(authority.ca)),
    "expired": lambda authority: (authority.server("127.0.0.1", not_after=LONG_AGO), Trust(authority.ca)),
    "no client certificate": lambda authority: (
        authority.server("127.0.0.1", wants_client=True),
        Trust(authority.ca),
    ),
}


@pytest.mark.parametrize("fault", UNVERIFIED.values(), ids=UNVERIFIED.keys())
@every_client
def test_refused(
    client: Client,
    fault: Callable[[Authority], tuple[ssl.SSLContext, Trust]],
    authority: Authority,
    serve: Serve,
    both: Run,
) -> None:
    """What TLS refuses is refused again by the same class with the same message, with the server gone."""
    context, trust = fault(authority)
    server = serve(context)
    recorded, replayed = both(gone(server, lambda: client(server.url + "/json", trust)))
    assert isinstance(recorded[0], type)
    assert issubclass(recorded[0], Exception)
    assert replayed == recorded


@every_client
def test_client_certificates(client: Client, authority: Authority, serve: Serve, both: Run) -> None:
    """A client that shows a certificate of its own replays."""
    server = serve(authority.server("127.0.0.1", wants_client=True))
    trust = Trust(authority.ca, own=authority.client())
    recorded, replayed = both(gone(server, lambda: client(server.url + "/json", trust)))
    assert recorded[0] == 200
    assert replayed == recorded


def test_not_verified(authority: Authority, serve: Serve, both: Run) -> None:
    """A client that does not want to verify is not made to, in a replay neither."""
    server = serve(authority.server("elsewhere.test"))
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def blocking() -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first = requests.get(server.url + "/json", verify=False, timeout=5)  # noqa: S501 - what is tested
        return [first.json(), httpx.get(server.url + "/json", verify=False).json()]  # noqa: S501 - what is tested

    async def run() -> list[Any]:
        seen = blocking()
        async with aiohttp.ClientSession() as session, session.get(server.url + "/json", ssl=unverified) as response:
            seen.append(await response.json())
        return seen

    recorded, replayed = both(gone(server, run))
    assert recorded[0]["ok"] is True
    assert replayed == recorded


def test_http_2_over_tls(authority: Authority, both: Run) -> None:
    """HTTP/2 that TLS settled on replays as HTTP/2."""
    context = authority.server("127.0.0.1")
    context.set_alpn_protocols(["h2"])
    http2 = Http2Server(context)

    def ask() -> list[Any]:
        with httpx.Client(http2=True, verify=Trust(authority.ca).context(), trust_env=False) as client:
            replies = [client.get(f"{http2.url}/{number}") for number in range(2)]
        http2.stop()
        return [(reply.text, reply.http_version, reply.headers.multi_items()) for reply in replies]

    recorded, replayed = both(ask)
    assert recorded[1][:2] == ("you asked /1", "HTTP/2")
    assert replayed == recorded


def test_plain_and_secured_are_two_peers(authority: Authority, serve: Serve, both: Run) -> None:
    """The same host and path by http and by https are different calls."""
    secured = serve(authority.server("127.0.0.1"))
    with ShapeServer() as plain:

        def run() -> list[Any]:
            urls = [f"{one.url}/echo?n={number}" for number, one in enumerate((plain, secured))]
            return [CLIENTS["requests"](url, Trust(authority.ca)) for url in urls]

        recorded, replayed = both(run)
    assert b"n=0" in recorded[0][1]
    assert b"n=1" in recorded[1][1]
    assert replayed == recorded


class Proxy:
    """A proxy that knows CONNECT: it answers each with one status, and tunnels when that is 200."""

    def __init__(self, status: bytes, target: int = 0) -> None:
        self._status = status
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(65536)
            more = b"" if self._target else b"Content-Length: 4\r\nProxy-Authenticate: Basic realm=p\r\n"
            peer.sendall(b"HTTP/1.1 " + self._status + b"\r\n" + more + b"\r\n" + (b"" if self._target else b"away"))
            if self._target:
                with socket.create_connection(("127.0.0.1", self._target)) as other:
                    threading.Thread(target=_copy, args=(other, peer), daemon=True).start()
                    _copy(peer, other)

    def stop(self) -> None:
        """Accept nothing any more."""
        self._listener.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


proxied_clients = pytest.mark.parametrize("client", PROXIED.values(), ids=PROXIED.keys())


@proxied_clients
def test_tunnels(client: Client, authority: Authority, serve: Serve, both: Run) -> None:
    """An exchange through a proxy's tunnel replays with peer and proxy gone: nobody asks either."""
    server = serve(authority.server("peer.invalid"))
    proxy = Proxy(b"200 Connection established", server.port)
    url = f"https://peer.invalid:{server.port}/json"

    def ask() -> Any:
        return client(url, Trust(authority.ca, proxy=proxy.url))

    recorded, replayed = both(gone(server, ask))
    proxy.stop()
    assert recorded[0] == 200
    assert replayed == recorded


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"502 Bad Gateway"], ids=["407", "502"])
@proxied_clients
def test_refused_tunnels(client: Client, status: bytes, both: Run) -> None:
    """A proxy that makes no tunnel fails the call again in the same way."""
    proxy = Proxy(status)

    def ask() -> Any:
        return client("https://peer.invalid/json", Trust(proxy=proxy.url))

    recorded, replayed = both(ask)
    proxy.stop()
    assert isinstance(recorded[0], type)
    assert replayed == recorded


@proxied_clients
def test_a_proxy_that_is_not_there(client: Client, server: ShapeServer, both: Run) -> None:
    """A proxy that nobody listens at fails the call again in the same way."""
    server.stop()
    recorded, replayed = both(lambda: client("https://peer.invalid/json", Trust(proxy=server.url)))
    assert isinstance(recorded[0], type)
    assert replayed[0] is recorded[0]
    assert ADDRESS.sub("", replayed[1]) == ADDRESS.sub("", recorded[1])
