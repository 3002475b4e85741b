"""A proxy between driver and server that understands whole messages: it drops, delays, compresses and counts."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

import bson
from pymongo import compression_support

__all__ = ["Proxy"]

OP_REPLY, OP_COMPRESSED, OP_MSG = 1, 2012, 2013
_header = struct.Struct("<iiii")
_compressors = {"zlib": 2, "snappy": 1, "zstd": 3}


class Proxy:
    """Listens on loopback, and hands on to a server.

    Args:
        server: URI of one host.
        compressor: negotiated in the server's name, which then never sees it.
        drop: commands at whose next arrival the connection is closed, each as often as it is listed.
        drop_reply: commands whose next reply is swallowed and the connection closed.
        delay: seconds before a command is handed on.
    """

    def __init__(
        self,
        server: str,
        *,
        compressor: str | None = None,
        drop: list[str] | None = None,
        drop_reply: list[str] | None = None,
        delay: dict[str, float] | None = None,
    ) -> None:
        parts = urlsplit(server)
        self._server = (parts.hostname or "", parts.port or 27017)
        self._compressor = compressor
        self._drop, self._drop_reply, self._delay = drop or [], drop_reply or [], delay or {}
        self.hello: dict[str, object] = {}
        """What the server says of itself instead, where it says something else."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self.seen: Counter[str] = Counter()

    @property
    def address(self) -> str:
        """Host and port, as members of a set name each other."""
        return f"127.0.0.1:{self._port}"

    @property
    def uri(self) -> str:
        """Where the driver finds it: named as the only server, since the real one calls itself otherwise."""
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        for one in (self._listener, *self._sockets):
            _close(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            self._sockets += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                asked = self._plain(_message(client))
                name = _command(asked)
                self.seen[name] += 1
                if name in self._drop:
                    self._drop.remove(name)
                    break
                time.sleep(self._delay.get(name, 0))
                server.sendall(asked)
                if struct.unpack_from("<I", asked, 16)[0] & 2:  # no reply follows
                    continue
                if not self._hand_back(client, server, name):
                    break
        except OSError:
            pass  # either side went away
        finally:
            _close(client)
            _close(server)

    def _hand_back(self, client: socket.socket, server: socket.socket, name: str) -> bool:
        more = True
        while more:
            reply = _message(server)
            if name in self._drop_reply:
                self._drop_reply.remove(name)
                return False
            more = _opcode(reply) == OP_MSG and bool(struct.unpack_from("<I", reply, 16)[0] & 2)
            client.sendall(self._packed(reply, name))
        return True

    def _plain(self, message: bytes) -> bytes:
        if _opcode(message) != OP_COMPRESSED:
            return message
        _, request, response, _ = _header.unpack_from(message)
        opcode, size, kind = struct.unpack_from("<iiB", message, 16)
        data = _call(compression_support.decompress, message[25:], kind, size)
        return _header.pack(len(data) + 16, request, response, opcode) + data

    def _packed(self, reply: bytes, name: str) -> bytes:
        if self.hello and name in ("hello", "ismaster", "isMaster"):
            return _changed(reply, self.hello)
        if self._compressor is None:
            return reply
        if name in ("hello", "ismaster", "isMaster"):
            return _changed(reply, {"compression": [self._compressor]})
        context = compression_support.CompressionSettings([self._compressor], 6).get_compression_context(
            [self._compressor]
        )
        assert context is not None
        _, request, response, opcode = _header.unpack_from(reply)
        data = context.compress(reply[16:])
        kind = _compressors[self._compressor]
        head = _header.pack(len(data) + 25, request, response, OP_COMPRESSED)
        return head + struct.pack("<iiB", opcode, len(reply) - 16, kind) + data


def _call(decompress: Callable[..., bytes], data: bytes, kind: int, size: int) -> bytes:
    try:
        return decompress(data, kind, size)
    except TypeError:  # before 4.20 it took no size
        return decompress(data, kind)


def _message(source: socket.socket) -> bytes:
    head = _exactly(source, 16)
    return head + _exactly(source, _header.unpack(head)[0] - 16)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def _opcode(message: bytes) -> int:
    return int(_header.unpack_from(message)[3])


def _command(message: bytes) -> str:
    start = 26 if _opcode(message) == OP_MSG else message.index(b"\0", 20) + 9 + 5
    return message[start : message.index(b"\0", start)].decode()


def _changed(reply: bytes, fields: dict[str, object]) -> bytes:
    start = 21 if _opcode(reply) == OP_MSG else 36
    body = bson.encode(bson.decode(reply[start:]) | fields)
    return (start + len(body)).to_bytes(4, "little") + reply[4:start] + body


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already, or only listening
        one.shutdown(socket.SHUT_RDWR)
    one.close()
