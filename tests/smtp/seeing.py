"""What a call gives, or how it fails; and a mail to send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Any

__all__ = ["SENDER", "TO", "mail", "seen", "seen_later"]

SENDER, TO = "shop@example.com", "bob@example.com"


def _failure(error: Exception) -> tuple[Any, ...]:
    cause = error.__cause__ or error.__context__
    return type(error), error.args, vars(error), cause if cause is None else (type(cause), cause.args)


def seen(do: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call gives, or how it fails: class, arguments, state, cause."""
    try:
        return do(*args, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return _failure(error)


async def seen_later(awaited: Awaitable[Any]) -> Any:
    """As :func:`seen`, of an awaitable."""
    try:
        return await awaited
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return _failure(error)


def mail(
    subject: str = "Hello", text: str = "Grüße, Bob\n.\n..two dots\n", bill: bytes = bytes(range(256))
) -> EmailMessage:
    """A mail with a text, HTML and an attachment."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, SENDER, TO
    message.set_content(text)
    message.add_alternative("<p>Grüße</p>", subtype="html")
    message.add_attachment(bill, maintype="application", subtype="pdf", filename="bill.pdf")
    return message
