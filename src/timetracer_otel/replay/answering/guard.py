"""No outbound connection leaves a replay unless a live integration makes it.

The methods of the type of C that every Python socket is, and the functions of C that look names up, are looked at. An
audit hook would see the same, but the interpreter calls it also for each ``frame.f_code``, which every draw looks at.
uvloop connects and looks names up below Python: the methods of its loop are looked at. Libraries in C with sockets of
their own are not seen; when one is imported, the replay takes note of it.
"""

from __future__ import annotations

import _socket
import ipaddress
import socket
import sys
from collections.abc import Callable
from functools import partial, wraps
from types import FrameType, ModuleType
from typing import Any, Final

import wrapt

from timetracer_otel.errors import OutboundRefused
from timetracer_otel.seams import MADE_UP_DOMAIN, Integration, Patch, c_names, live_io, patching

__all__ = ["refuse_outbound", "watch_unseen"]

_LOOKUPS = frozenset({"getaddrinfo", "gethostbyname", "gethostbyname_ex"})
_REVERSE = frozenset({"gethostbyaddr", "getnameinfo"})
_FUNCTIONS = {
    "getaddrinfo": "host",
    "gethostbyname": "",
    "gethostbyname_ex": "",
    "gethostbyaddr": "",
    "getnameinfo": "",
}
"""Functions of ``_socket`` that ask a name server, with the keyword of their first argument where it has one."""
_SENDS: Final[dict[str, Callable[[tuple[Any, ...]], object]]] = {
    "connect": lambda args: args[0] if args else None,
    "connect_ex": lambda args: args[0] if args else None,
    "sendto": lambda args: args[-1] if len(args) > 1 else None,
    "sendmsg": lambda args: args[3] if len(args) > 3 else None,  # noqa: PLR2004 - buffers, ancillary data, flags, address
}
"""Methods of a socket that reach a peer, and where the peer is among their arguments."""
_DEBUGGERS = ("pydevd", "_pydevd", "debugpy")
_ADAPTER = "/debugpy/adapter/"
"""In the names of the files of a program of debugpy's own, whose first module is ``__main__``."""
_watches_unseen: list[tuple[Callable[[str], None], Callable[[], bool]]] = []
"""As ``_watches`` below, of libraries that nobody sees: import hooks cannot be taken back either."""

_watches: list[tuple[Callable[[str], None], Callable[[], bool]]] = []
"""Who is told of a refusal, and as long as which condition holds: the last replay of this process sets both."""


def refuse_outbound(note: Callable[[str], None], *, while_: Callable[[], bool]) -> None:
    """Refuse connections and name look-ups from now on, in this process and what it forks.

    Args:
        note: called with the refused address.
        while_: whether the replay is still in force; what others have bound meanwhile cannot be taken back.
    """
    first = not _watches
    _watches[:] = [(note, while_)]
    patching.apply(_UVLOOP)
    if first and not all(map(_look_at_method, _SENDS)):
        sys.addaudithook(_hook)  # slower, but needs nothing
    if first:
        c_names.exchange((function, _looked_at(function)) for function in map(vars(_socket).get, _FUNCTIONS))


def _look_at_method(name: str) -> bool:
    original, peer = vars(_socket.socket)[name], _SENDS[name]

    @wraps(original)
    def method(self: Any, *args: Any) -> Any:
        _check(name, peer(args))
        return original(self, *args)

    return c_names.put_underneath(_socket.socket, name, method)


def _looked_at(original: Any) -> Any:
    named = _FUNCTIONS[original.__name__]

    @wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if args or named in kwargs:
            _check(original.__name__, args[0] if args else kwargs[named])
        return original(*args, **kwargs)

    return c_names.Builtin(function)


_UNSEEN: Final = {
    "_mysql_connector": "mysql-connector-python's C extension",
    "curl_cffi._wrapper": "curl_cffi",
    "grpc._cython.cygrpc": "grpcio",
    "ibm_db": "ibm_db",
    "primp": "primp",
    "pycurl": "pycurl",
    "pymssql._pymssql": "pymssql",
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
    _watches_unseen[:] = [(note, while_)]
    for module, name in _UNSEEN.items():
        wrapt.register_post_import_hook(partial(_tell_unseen, name), module)


def _tell_unseen(name: str, _module: ModuleType) -> None:
    note, in_force = _watches_unseen[0]
    if in_force():
        note(name)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    module, _, name = event.partition(".")
    if module == "socket" and name in _SENDS:
        _check(name, arguments[1])


def _check(name: str, address: object) -> None:
    if name in _SENDS:
        refused = address is not None and not _is_local_pipe(address)
    elif name in _LOOKUPS:
        refused = not _is_own_name(address)
    else:
        refused = not _is_own_address(address)
    if refused:
        _refuse("connect" if name == "connect_ex" else name, address)


def _refuse(what: str, address: object) -> None:
    if not live_io.get() and not _from_debugger():
        note, in_force = _watches[0]
        if in_force():
            text = _text(address)
            if not text.partition(":")[0].endswith(f".{MADE_UP_DOMAIN}"):  # a client of an earlier replay looks for one
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
        address: the one among its arguments; None when it is given a socket, whose methods are looked at.
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
        if frame.f_globals.get("__name__", "").startswith(_DEBUGGERS) or _ADAPTER in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
