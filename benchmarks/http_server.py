"""The measured programs' peer, a process of its own: a small JSON answer, or as many bytes as the path asks for.

A path that begins with ``/late`` gets its answer after 5 ms, as from a service in a network.

usage: http_server.py
"""

from __future__ import annotations

import os
import socket
import threading
import time

LATE = 0.005
_BLOCK = os.urandom(1 << 20)
_BODY = b'{"rates": {"EUR": 1.08, "GBP": 0.91}, "items": [' + b", ".join(b'{"n": %d}' % n for n in range(40)) + b"]}"
_SMALL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


def _answer(peer: socket.socket) -> None:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with peer:
        held = b""
        while data := peer.recv(65536):
            held += data
            while b"\r\n\r\n" in held:
                head, _, held = held.partition(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                if path.startswith(b"/small"):
                    peer.sendall(_SMALL)
                else:
                    time.sleep(LATE if path.startswith(b"/late") else 0)
                    _send_large(peer, int(path.rpartition(b"/")[2]))


def _send_large(peer: socket.socket, size: int) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size // len(_BLOCK)):
        peer.sendall(_BLOCK)
    peer.sendall(_BLOCK[: size % len(_BLOCK)])


def main() -> None:
    """Serve until killed; the first line of the output is the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=_answer, args=(peer,), daemon=True).start()


if __name__ == "__main__":
    main()
