"""SMTP's commands and replies.

Sources: RFC 5321, RFC 4954 (AUTH), RFC 2033 (LMTP).
"""

from __future__ import annotations

import re
from typing import Final

from timetracer_otel import redaction

__all__ = [
    "CONNECT",
    "MAIL",
    "SEND",
    "WAIT",
    "Replies",
    "begins_mail",
    "continues_login",
    "ends_content",
    "ends_mail",
    "is_hello",
    "is_opening",
    "is_read",
    "is_setup",
    "lines_of",
    "sealed",
    "takes_content",
    "verb_of",
    "without_size",
]

CONNECT: Final = "CONNECT"
"""What opens a connection is no command: the server speaks first."""
WAIT: Final = "WAIT"
"""Nor is it one to read on, such as LMTP's replies for each recipient."""
SEND: Final = "send"
"""A mail: all commands from ``MAIL`` to the end of its content, or to what takes its place."""
MAIL: Final = "MAIL"
_OF_A_MAIL: Final = frozenset({MAIL, "RCPT", "DATA"})

_HELLOS: Final = frozenset({"EHLO", "HELO", "LHLO"})
_OPENING: Final = _HELLOS | {CONNECT, "STARTTLS", "AUTH"}
_SETUP: Final = _OPENING | {"NOOP", "RSET", "QUIT"}
_READS: Final = frozenset({"VRFY", "EXPN", "HELP"})
_NOT_IN_A_MAIL: Final = _HELLOS | {MAIL, "STARTTLS", "AUTH", "QUIT"}
_CANCELS_LOGIN: Final = (b"*", b"=")
_SIZE: Final = re.compile(rb"(?i) SIZE=\d+")
_LINE: Final = b"\r\n"


def verb_of(command: bytes) -> str:
    """Give a command's name in capitals.

    Args:
        command: a line.
    """
    return command.split(None, 1)[0].decode("ascii", "replace").upper() if command.strip() else ""


def is_hello(verb: str) -> bool:
    """Whether a client says by a command what its own machine is called."""
    return verb in _HELLOS


def is_opening(verb: str) -> bool:
    """Whether a command makes a connection ready for mails."""
    return verb in _OPENING


def is_setup(verb: str) -> bool:
    """Whether a command is of the connection, not of the app: how many there are depends on how long that is kept."""
    return verb in _SETUP


def is_read(verb: str) -> bool:
    """Whether a command has no effect that another lane could see."""
    return verb in _SETUP or verb in _READS


def begins_mail(verb: str) -> bool:
    """Whether a command is of a mail; one that comes out of turn is refused, and that is all of it."""
    return verb in _OF_A_MAIL


def ends_mail(verb: str) -> bool:
    """Whether a command is not of the mail that has begun: the client has left that, or the server has."""
    return verb in _NOT_IN_A_MAIL


def takes_content(verb: str, reply: bytes) -> bool:
    """Whether a reply asks for the content of a mail."""
    return verb == "DATA" and reply.startswith(b"354")


def ends_content(piece: bytes) -> bool:
    """Whether the content of a mail ends with a piece of it."""
    return piece == b".\r\n" or piece.endswith(b"\r\n.\r\n")


def continues_login(verb: str, reply: bytes) -> bool:
    """Whether a reply asks for more of a log-in."""
    return verb == "AUTH" and reply.startswith(b"334")


def without_size(command: bytes) -> bytes:
    """Give a ``MAIL`` command without the size of the content, which says itself how long it is."""
    return _SIZE.sub(b"", command)


def sealed(command: bytes, *, continues: bool) -> bytes:
    """Give a command of a log-in with its secrets hidden; what is hidden already stays.

    Args:
        command: a line.
        continues: whether it answers what the server has asked for, and holds nothing else.
    """
    words = command.split()
    start = 0 if continues else 2
    hidden = [_hidden(word) if number >= start else word for number, word in enumerate(words)]
    return b" ".join(hidden) + _LINE


def _hidden(word: bytes) -> bytes:
    return word if word in _CANCELS_LOGIN else redaction.hide_password(word.decode("latin-1")).encode("latin-1")


def lines_of(data: bytes) -> list[bytes]:
    """Give the lines of commands or of a reply, without their ends."""
    return [line.rstrip(b"\r\n") for line in data.splitlines(keepends=True)]


class Replies:
    """Cuts what a server sends into whole replies, as its clients read them."""

    __slots__ = ("_lines", "_rest")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has arrived; give the replies that are whole now.

        Args:
            data: any piece.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        whole: list[bytes] = []
        for line in lines:
            self._lines.append(line + b"\n")
            if line[3:4] != b"-" or not line[:3].isdigit():
                whole.append(b"".join(self._lines))
                self._lines.clear()
        return whole

    def rest(self) -> bytes:
        """Give what has arrived of a reply that is not whole, and forget it."""
        rest = b"".join((*self._lines, self._rest))
        self._lines.clear()
        self._rest = b""
        return rest
