"""No outbound connection leaves a replay unless a live integration makes it.

An audit hook sees what every Python socket does, also those that bypass ``socket.create_connection``. uvloop connects
and looks names up below Python: the methods of its loop are looked at. Libraries in C with sockets of their own are not
seen; when one is imported, the replay takes note of it.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType, ModuleType
from typing import Any, Final

import wrapt

from timetracer_otel.errors import OutboundRefused
from timetracer_otel.seams import Integration, Patch, live_io, patching

__all__ = ["refuse_outbound", "watch_unseen"]

_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex"})
_REVERSE = frozenset({"socket.gethostbyaddr", "socket.getnameinfo"})
_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_DEBUGGERS = ("pydevd", "_pydevd", "debugpy")


_watches: list[tuple[Callable[[str], None], Callable[[], bool]]] = []
"""Who is told of a refusal, and while what holds: the last replay of this process, none before the first."""


def refuse_outbound(note: Callable[[str], None], *, while_: Callable[[], bool]) -> None:
    """Refuse connections and name look-ups from now on, in this process and what it forks.

    Args:
        note: called with the refused address.
        while_: whether the replay is still in force; an audit hook cannot be removed.
    """
    first = not _watches
    _watches[:] = [(note, while_)]
    patching.apply(_UVLOOP)
    if first:
        sys.addaudithook(_hook)


_UNSEEN: Final = {
    "MySQLdb._mysql": "mysqlclient",
    "_mysql_connector": "mysql-connector-python's C extension",
    "confluent_kafka.cimpl": "confluent-kafka",
    "curl_cffi._wrapper": "curl_cffi",
    "grpc._cython.cygrpc": "grpcio",
    "ibm_db": "ibm_db",
    "primp": "primp",
    "psycopg2._psycopg": "psycopg2",
    "psycopg.pq": "psycopg",
    "pycurl": "pycurl",
    "pymssql._pymssql": "pymssql",
    "pylibmc": "pylibmc",
    "pyodbc": "pyodbc",
    "zmq.backend.cython": "pyzmq",
}
"""Modules of libraries that connect below Python, and what people call them."""


def watch_unseen(note: Callable[[str], None], *, while_: Callable[[], bool]) -> None:
    """Tell of each imported library whose connections this guard does not see.

    Args:
        note: called with the library's name.
        while_: whether the replay is still in force; import hooks cannot be taken back.
    """

    def told(name: str, _module: ModuleType) -> None:
        if while_():
            note(name)

    for module, name in _UNSEEN.items():
        wrapt.register_post_import_hook(partial(told, name), module)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _SENDS:
        address = arguments[1]
        refused = address is not None and not _is_local_pipe(address)
    elif event in _LOOKUPS:
        address = arguments[0]
        refused = not _is_own_name(address)
    elif event in _REVERSE:
        address = arguments[0]
        refused = not _is_own_address(address)
    else:
        return
    if refused:
        _refuse(event.removeprefix("socket."), address)


def _refuse(what: str, address: object) -> None:
    if not live_io.get() and not _from_debugger():
        note, in_force = _watches[0]
        if in_force():
            text = _text(address)
            note(text)
            raise OutboundRefused(
                f"the replay refused {what} to {text}: nothing recorded stands in for it. "
                "If that peer should be reached, name its integration with --live"
            )


def _text(address: object) -> str:
    if isinstance(address, tuple):
        return ":".join(map(str, address[:2]))
    return address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address)


def _is_local_pipe(address: object) -> bool:
    """A Unix socket of multiprocessing's own, or an abstract one."""
    text = _text(address)
    return not isinstance(address, tuple) and (text.startswith("\0") or "/pymp-" in text)


def _is_own_name(name: object) -> bool:
    """Names that a server resolves in order to listen; they need no network."""
    text = _text(name) if name is not None else ""
    if text in ("", "None", "localhost"):
        return True
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_own_address(address: object) -> bool:
    """What a server asks for its own name: this machine, under an address that needs no network, or its name."""
    text = str(address[0]) if isinstance(address, tuple) else _text(address)
    try:
        number = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text in ("", "localhost", socket.gethostname())
    return number.is_loopback or number.is_unspecified


def _look_at(
    what: str, address: Callable[[tuple[Any, ...], dict[str, Any]], object], own: Callable[[object], bool]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make what goes around an asynchronous method of uvloop's loop.

    Args:
        what: it does, in a word.
        address: the one among its arguments; None when it is given a socket, which the audit hook sees.
        own: whether an address needs no network.
    """

    def maker(original: Callable[..., Any]) -> Callable[..., Any]:
        async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            asked = address(args, kwargs)
            if asked is not None and not own(asked):
                _refuse(what, asked)
            return await original(self, *args, **kwargs)

        return method

    return maker


def _argument(number: int, name: str) -> Callable[[tuple[Any, ...], dict[str, Any]], object]:
    return lambda args, kwargs: args[number] if len(args) > number else kwargs.get(name)


def _host_and_port(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    host, port = _argument(1, "host")(args, kwargs), _argument(2, "port")(args, kwargs)
    return None if host is None and port is None else (host, port)


def _never(_address: object) -> bool:
    return False


_UVLOOP: Final = Integration(
    name="the guard",
    patches=tuple(
        Patch("uvloop", f"Loop.{name}", maker=_look_at(what, address, own))
        for name, what, address, own in (
            ("create_connection", "connect", _host_and_port, _never),
            ("create_unix_connection", "connect", _argument(1, "path"), _is_local_pipe),
            ("create_datagram_endpoint", "connect", _argument(2, "remote_addr"), _never),
            ("getaddrinfo", "getaddrinfo", _argument(0, "host"), _is_own_name),
            ("getnameinfo", "getnameinfo", _argument(0, "sockaddr"), _is_own_address),
        )
    ),
)


def _from_debugger() -> bool:
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the cheap way to walk the stack
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_DEBUGGERS):
            return True
        frame = frame.f_back
    return False
