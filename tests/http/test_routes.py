"""Other ways to a peer: through a proxy, and by HTTP/2."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import requests
import urllib3

from tests.http.conftest import Run
from tests.http.server import ShapeServer


def test_through_a_proxy(server: ShapeServer, both: Run) -> None:
    """Every client asks a plain proxy for a host that has no address; in replay nobody looks it up either."""
    url, proxy = "http://peer.invalid/json?x=1", server.url

    async def by_aiohttp() -> Any:
        async with aiohttp.ClientSession() as session, session.get(url, proxy=proxy) as response:
            return await response.json()

    def others() -> list[Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
        with opener.open(url, timeout=5) as response:
            seen = [response.read()]
        seen.append(requests.get(url, proxies={"http": proxy}, timeout=5).json())
        seen.append(urllib3.ProxyManager(proxy).request("GET", url).json())
        seen.append(httpx.get(url, proxy=proxy).json())
        return seen

    async def all_of_them() -> list[Any]:
        return [*others(), await by_aiohttp()]

    recorded, replayed = both(all_of_them)
    assert recorded[1]["ok"] is True
    assert replayed == recorded


class Http2Server:
    """Answers each request of one HTTP/2 connection by what it asked.

    Args:
        tls: to speak TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls is not None else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._tls = tls
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        if self._tls is not None:
            peer = self._tls.wrap_socket(peer, server_side=True)
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        peer.sendall(connection.data_to_send())
        asked: dict[int, str] = {}
        while data := peer.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    fields = {str(name): str(value) for name, value in event.headers}
                    asked[event.stream_id] = fields[":path"]
                elif isinstance(event, h2.events.StreamEnded):
                    headers = [
                        (":status", "200"),
                        ("content-type", "text/plain"),
                        ("set-cookie", "a=1"),
                        ("set-cookie", "b=2"),
                    ]
                    connection.send_headers(event.stream_id, headers)
                    connection.send_data(
                        event.stream_id, f"you asked {asked[event.stream_id]}".encode(), end_stream=True
                    )
            peer.sendall(connection.data_to_send())
        peer.close()

    def stop(self) -> None:
        """Accept nothing any more."""
        self._listener.close()


@pytest.fixture
def http2() -> Iterator[Http2Server]:
    """A server that speaks HTTP/2 with prior knowledge."""
    running = Http2Server()
    yield running
    running.stop()


def test_http_2(http2: Http2Server, both: Run) -> None:
    """Streams of an HTTP/2 connection record and replay, with the version and headers that httpx gives them."""

    def ask() -> list[Any]:
        with httpx.Client(http1=False, http2=True) as client:
            replies = [client.get(f"{http2.url}/{number}") for number in range(3)]
            seen = [
                (reply.text, reply.http_version, reply.headers.multi_items(), reply.reason_phrase) for reply in replies
            ]
        http2.stop()
        return seen

    recorded, replayed = both(ask)
    assert recorded[2][:2] == ("you asked /2", "HTTP/2")
    assert replayed == recorded
