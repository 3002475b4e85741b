"""The content of a mail: what counts of it when two are compared, and how people see it.

Both go by what the mail says, not by how it is encoded: a text in base64 is text. What a program makes anew for each
mail does not count: the boundaries of its parts, its id, its signature by DKIM. Its date, and ids and times in its
texts, are values.
"""

from __future__ import annotations

import email
import email.header
import re
from collections.abc import Iterator
from email.message import Message
from hashlib import blake2b, sha256
from typing import Any, Final

from timetracer_otel.families.words import blanked
from timetracer_otel.seams.values import TOKEN, Blanker

__all__ = ["canonical", "shown"]

_BOUNDARY: Final = re.compile(r"(?i);\s*boundary=(?:\"[^\"]*\"|[^;\s]*)")
_FOLDED: Final = re.compile(r"\r?\n(?=[ \t])")
_OF_ONE_MAIL: Final = frozenset({"message-id", "dkim-signature"})
_STUFFED: Final = re.compile(rb"(?m)^\.\.")
_TEXTS: Final = {"text/plain": "text", "text/html": "html"}


def canonical(content: bytes, blanker: Blanker) -> bytes:
    """Give the digest of what counts of a mail.

    Args:
        content: as it was sent after ``DATA``.
        blanker: keeps the values in it.
    """
    digest = blake2b(digest_size=16)
    for part in _parsed(content).walk():
        for name, value in _headers(part):
            if name.lower() in _OF_ONE_MAIL:
                blanker.values.append(bytes((TOKEN,)) + value.encode())
                counts = name.lower()
            else:
                counts = f"{name.lower()}: {blanker.text(value)}"
            digest.update(counts.encode() + b"\n")
        digest.update(b"\n" if part.is_multipart() else b"\n" + _blanked(part, blanker) + b"\0")
    return digest.digest()


def shown(content: bytes) -> dict[str, Any]:
    """Give a mail as data for people: headers, texts, and the name, type and size of each attachment.

    Args:
        content: as it was sent after ``DATA``.
    """
    mail = _parsed(content)
    found: dict[str, Any] = {"headers": dict(_headers(mail))}
    attachments = []
    for part in mail.walk():
        if part.is_multipart():
            continue
        field = _TEXTS.get(part.get_content_type())
        if field is None or part.get_filename() or field in found:
            attachments.append(_attachment(part))
        else:
            found[field] = _text(part)
    return found | ({"attachments": attachments} if attachments else {})


def _parsed(content: bytes) -> Message:
    """Undo what SMTP adds: the line that ends the content, and a dot before each line that begins with one."""
    return email.message_from_bytes(_STUFFED.sub(b".", content.removesuffix(b".\r\n")))


def _headers(part: Message) -> Iterator[tuple[str, str]]:
    for name, raw in part.items():
        value = _FOLDED.sub("", _decoded(raw))
        yield name, _BOUNDARY.sub("", value) if name.lower() == "content-type" else value


def _decoded(raw: Any) -> str:
    """Give a header with its encoded words as text; as it is where they are none."""
    try:
        return str(email.header.make_header(email.header.decode_header(raw)))
    except (ValueError, LookupError):  # email.errors.HeaderParseError is a ValueError
        return str(raw)


def _blanked(part: Message, blanker: Blanker) -> bytes:
    if part.get_content_maintype() == "text":
        return blanker.text(_text(part)).encode("utf-8", "replace")
    return blanked(_payload(part), blanker)


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    payload, charset = _payload(part), part.get_content_charset("utf-8")
    try:
        text = payload.decode(charset, "replace")
    except LookupError:  # a character set that Python does not know
        text = payload.decode("utf-8", "replace")
    return text.replace("\r\n", "\n")


def _attachment(part: Message) -> dict[str, Any]:
    payload = _payload(part)
    attachment = {"name": part.get_filename(), "type": part.get_content_type(), "size": len(payload)}
    return attachment | {"sha256": sha256(payload).hexdigest()[:16]}
