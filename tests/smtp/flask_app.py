"""A log-in app that sends mails: one that forgets nobody's password, and a list that goes out by one connection."""

from __future__ import annotations

import os
import secrets
import smtplib
import threading
from email.message import EmailMessage

from flask import Flask, request

app = Flask(__name__)
SUBJECT = os.environ.get("SUBJECT", "Your password")
_lock = threading.Lock()
_kept: list[smtplib.SMTP] = []


def _connected() -> smtplib.SMTP:
    client = smtplib.SMTP(os.environ["SMTP"], timeout=5)
    client.ehlo()
    return client


@app.post("/reset")
def reset() -> dict[str, object]:
    """Send a link with a new token."""
    token, mail = secrets.token_urlsafe(24), EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = SUBJECT, "shop@example.com", request.get_json()["to"]
    mail.set_content(f"Grüße: https://shop.example.com/reset/{token}")
    mail.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename="a.bin")
    with _connected() as client:
        try:
            refused: object = client.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            refused = {name: code for name, (code, _) in error.recipients.items()}
    return {"token": token, "refused": refused}


@app.post("/news/<number>")
def news(number: str) -> str:
    """Send a mail by a connection that is kept for all requests."""
    with _lock:
        if not _kept:
            _kept.append(_connected())
        _kept[0].sendmail("shop@example.com", [f"{number}@example.com"], f"Subject: {SUBJECT}\r\n\r\n{number}")
    return number
