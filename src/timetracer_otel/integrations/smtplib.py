"""Mail by the standard library's smtplib: ``SMTP``, ``SMTP_SSL``, ``LMTP``, and what stands on them.

A recorded client has its own socket; what it sends and reads is seen above TLS. A replayed one has a socket that
reaches nowhere, and does all of its own work on that.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere import tls
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.families.smtp import matching, rendering
from timetracer_otel.families.smtp.recording import Tap
from timetracer_otel.families.smtp.server import Server
from timetracer_otel.seams import Integration, Patch, Responder

__all__ = ["INTEGRATION"]

NAME: Final = "smtplib"
_TAP: Final = "_timetracer_tap"
_PEER: Final = "_timetracer_peer"
"""Where a client has the host and port that it connects to."""
_LOCAL_HOSTNAME: Final = 2
"""Where a client takes the name of its own machine; the server's host and port are before it."""


class _SeenFile:
    """Stands where a client has the file that it reads replies from.

    Args:
        file: the client's own.
        tap: sees what is read.
    """

    __slots__ = ("_file", "_tap")

    def __init__(self, file: Any, tap: Tap) -> None:
        self._file = file
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def readline(self, *args: Any) -> Any:
        """Read a line, as the file does; nothing at the end."""
        try:
            line = self._file.readline(*args)
        except BaseException as error:
            self._tap.broke(error)
            raise
        if line:
            self._tap.received(line)
        else:
            self._tap.ended()
        return line


def _records() -> bool:
    return seams.active() is not None and NAME not in seams.switched_off


def _tap_of(client: Any) -> Tap:
    tap: Tap | None = client.__dict__.get(_TAP)
    if tap is None:
        host, port = client.__dict__.get(_PEER) or _peer_of(client.sock)
        server: dict[str, spans.Attribute] = {"server.address": host}
        tap = client.__dict__[_TAP] = Tap(NAME, server | ({} if port is None else {"server.port": port}))
    return tap


def _peer_of(sock: Any) -> tuple[str, int | None]:
    """Give whom a socket reaches that was connected before anything was recorded."""
    try:
        peer = sock.getpeername()
    except OSError:
        return "", None
    return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else (str(peer), None)


def _asked_for(client: Any, args: Any, kwargs: Any) -> tuple[str, int | None]:
    """Give the host and port that ``connect`` is called with, as it understands them."""
    host = str(args[0] if args else kwargs.get("host", "localhost"))
    port = args[1] if len(args) > 1 else kwargs.get("port", 0)
    if host.startswith("/"):
        return host, None
    if not port and host.count(":") == 1:
        host, _, port = host.partition(":")
    return host, int(port or client.default_port)


def _init(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Let a client of a replay ask no name server for the name of its machine, which no recorded server cares for."""
    if seams.responder(NAME) is None:
        return wrapped(*args, **kwargs)
    if len(args) > _LOCAL_HOSTNAME:
        own = socket.gethostname() if args[_LOCAL_HOSTNAME] is None else args[_LOCAL_HOSTNAME]
        return wrapped(*args[:_LOCAL_HOSTNAME], own, *args[_LOCAL_HOSTNAME + 1 :], **kwargs)
    if kwargs.get("local_hostname") is None:
        kwargs["local_hostname"] = socket.gethostname()
    return wrapped(*args, **kwargs)


def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is None and not _records():
        return wrapped(*args, **kwargs)
    try:
        peer = _asked_for(instance, args, kwargs)
    except ValueError:  # no port, which the client says by itself
        return wrapped(*args, **kwargs)
    instance.__dict__.pop(_TAP, None)
    instance.__dict__[_PEER] = peer
    if responder is not None:
        failures.raise_upcoming(responder, matching.refused(_name(peer)))
        _reach_nowhere(instance, responder, greets=True)
        return instance.getreply()
    tap = _tap_of(instance)
    tap.connects()
    try:
        return wrapped(*args, **kwargs)
    except BaseException as error:
        tap.refused(error)
        raise


def _connect_lmtp(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Connect to a path; elsewhere LMTP connects as SMTP does."""
    host = str(args[0] if args else kwargs.get("host", ""))
    return _connect(wrapped, instance, args, kwargs) if host.startswith("/") else wrapped(*args, **kwargs)


def _name(peer: tuple[str, int | None]) -> str:
    host, port = peer
    return host if port is None else f"{host}:{port}"


def _reach_nowhere(client: Any, responder: Responder, *, greets: bool) -> None:
    peer = client.__dict__.get(_PEER) or _peer_of(client.sock)
    if client.sock is not None:
        client.sock.close()
    client.sock = Socket(Server(NAME, responder, _name(peer), greets=greets), peer)
    timeout = client.timeout
    client.sock.settimeout(
        timeout if timeout is None or isinstance(timeout, int | float) else socket.getdefaulttimeout()
    )
    client.file = None


def _send(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if instance.sock is None:
        return wrapped(*args, **kwargs)
    if responder is not None:
        if not _is_of_this_replay(instance.sock):
            _reach_nowhere(instance, responder, greets=False)
        return wrapped(*args, **kwargs)
    if isinstance(instance.sock, Socket) or not _records():
        return wrapped(*args, **kwargs)
    tap, data = _tap_of(instance), args[0] if args else kwargs["s"]
    tap.sends(data.encode(instance.command_encoding, "replace") if isinstance(data, str) else bytes(data))
    try:
        return wrapped(*args, **kwargs)
    except BaseException as error:
        tap.broke(error, sends=True)
        raise


def _is_of_this_replay(sock: Any) -> bool:
    return isinstance(sock, Socket) and isinstance(sock.dialogue, Server) and not sock.dialogue.is_of_the_past


def _getreply(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    sock = instance.sock
    if isinstance(sock, Socket):
        try:
            return wrapped(*args, **kwargs)
        except BaseException:
            sock.forget()  # nobody waits for it any more, such as a greenlet whose time is up
            raise
    if sock is None or not _records():
        return wrapped(*args, **kwargs)
    tap = _tap_of(instance)
    tap.reads_on()
    if not isinstance(instance.file, _SeenFile):
        instance.file = _SeenFile(instance.file or sock.makefile("rb"), tap)
    return wrapped(*args, **kwargs)


def _close(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Take that a client closes its connection, which it does also when it cannot send."""
    tap: Tap | None = instance.__dict__.pop(_TAP, None)
    if tap is not None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            tap.broke(error, sends=True)
        else:
            tap.ended()
    return wrapped(*args, **kwargs)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch(NAME, "SMTP.__init__", _init),
        Patch(NAME, "SMTP.connect", _connect),
        Patch(NAME, "LMTP.connect", _connect_lmtp),
        Patch(NAME, "SMTP.send", _send),
        Patch(NAME, "SMTP.getreply", _getreply),
        Patch(NAME, "SMTP.close", _close),
        *tls.PATCHES,
    ),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    packages={NAME: ""},
)
