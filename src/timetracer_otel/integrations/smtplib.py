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
_SERVER: Final = "_timetracer_server"
"""Where a client has where it leads."""
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
        tap = client.__dict__[_TAP] = Tap(NAME, _server(client))
    return tap


def _server(client: Any) -> dict[str, spans.Attribute]:
    """Say where a client leads, also one that was connected before anything was recorded."""
    known: dict[str, spans.Attribute] | None = client.__dict__.get(_SERVER)
    if known is not None:
        return known
    try:
        return matching.reached(client.sock.getpeername())
    except OSError:
        return matching.reached("")


def _asked_for(client: Any, args: Any, kwargs: Any) -> dict[str, spans.Attribute]:
    """Say where ``connect`` is to lead, as it understands what it is called with."""
    host = str(args[0] if args else kwargs.get("host", "localhost"))
    port = args[1] if len(args) > 1 else kwargs.get("port", 0)
    if host.startswith("/"):
        return matching.reached(host)
    if not port and host.count(":") == 1:
        host, _, port = host.partition(":")
    return matching.reached((host, port or client.default_port))


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
        server = _asked_for(instance, args, kwargs)
    except ValueError:  # no port, which the client says by itself
        return wrapped(*args, **kwargs)
    instance.__dict__.pop(_TAP, None)
    instance.__dict__[_SERVER] = server
    if responder is not None:
        failures.raise_upcoming(responder, matching.refused(matching.peer_named(server)))
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


def _reach_nowhere(client: Any, responder: Responder, *, greets: bool) -> None:
    server = _server(client)
    if client.sock is not None:
        client.sock.close()
    dialogue = Server(NAME, responder, matching.peer_named(server), greets=greets)
    client.sock = Socket(dialogue, (server["server.address"], server.get("server.port")))
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
