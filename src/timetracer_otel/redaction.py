"""The one place that knows where secrets stand, and hides them at capture, so that no exporter can leak them.

Where there is a key a secret is sealed (see :mod:`sealing`): a replay on a machine with that key has it back. Elsewhere
it is masked. Scheme words, names of cookies and of parameters stay readable. What is hidden already stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from timetracer_otel import sealing

__all__ = [
    "MASK",
    "arguments",
    "blanked_header",
    "blanked_url",
    "damaged",
    "headers",
    "hidden",
    "hide",
    "hide_password",
    "is_credential",
    "is_secret_parameter",
    "may_be_sealed",
    "opened",
    "placeholders",
    "seal",
    "text",
    "told",
    "url",
    "why_hidden",
]

MASK = "[redacted]"

closed: Callable[[str], None] | None = None
"""A replay sets it, and hears why an app is told a placeholder and not the secret."""

_MARK: Final = sealing.MARK.encode()

Hide: TypeAlias = Callable[[str], str]
"""Gives what stands in the place of a secret."""

_MASKED: Final = re.compile(r"\[redacted(?::[0-9a-f]{4})?\]")
_HIDDEN: Final = re.compile(rf"{_MASKED.pattern}|{sealing.TOKEN.pattern}")

_CREDENTIAL: Final = re.compile(
    r"(?!.*(?:continuation|page|next|idempotency|cancel)).*"
    r"(?:api-?key|auth-?key|access-?key|subscription-key|functions-key"
    r"|(?:^|-)(?:token|secret|passw(?:or)?d|credentials?|jwt|session-?id))"
)
"""Headers that hold a secret and nothing else, by how their names end."""
_PARAMETER: Final = re.compile(
    r"token|auth|authorization|jwt|sig|pass|pwd|passwd|passphrase|hmac|jsessionid|phpsessid|sessionid|sessionkey|sessiondata"
    r"|awsaccesskeyid|xamzcredential|xgoogcredential|clientassertion|samlresponse|.*(?:apikey|appkey|subscriptionkey"
    r"|secretkey|privatekey|secret|password|signature"
    r"|(?:access|auth|id|refresh|private|security|session|bearer|oauth|api|sas|csrf|xsrf|user|reset)token(?:hint)?)"
)
"""Names of parameters that are secrets, in small letters, without what parts words."""
_LONG_KEY: Final = 20
"""Characters from which a parameter that is only called ``key`` is a secret."""
_NO_LETTER: Final = re.compile(r"[^a-z0-9]")

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")
_SECRET_OPTION: Final = re.compile(r"(?i)(pass(word|wd|phrase)?|secret|token|api-?_?key|credential)")
_USERINFO: Final = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<secret>[^/\s?#\"'<>]+)@")
_QUERY: Final = re.compile(r"(?P<start>(?:^|[?&;#])(?P<name>[^=&;?#\s\"'<>]{1,60})=)(?P<secret>[^&;#\s\"'<>\\]+)")
_IN_TEXT: Final = re.compile(
    r"""(?x)
    (?P<scheme> \b(?i:bearer|basic)[ ]+ ) (?P<sent> (?=[^\s"']*[0-9=+/]) [\w.~+/=-]{8,} )
    | (?P<named> \b(?i: [\w.-]* (?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|credential)s? )
      (?:=["']?|["']\s*:\s*b?["']) ) (?P<value> [^\s"'&,;)}\]\\]+ )
    | (?P<jwt> \beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]* )
    """
)
"""Secrets in running text: behind a scheme, as the value of a name that speaks of one, or by their form."""

_GUESSABLE: Final = 24
"""A shorter secret might be guessed, so nothing of it is kept."""
_DISTINCT: Final = 12
_MIXED: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])\S+")


def headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Hide the credentials in headers, in order, names as they are.

    Args:
        pairs: names and values.
    """
    return [(name, _header(name, value, hide)) for name, value in pairs]


def url(text: str) -> str:
    """Hide the user names, passwords and secret parameters of every URL in a text; also of a query alone.

    Args:
        text: a URL, the target of a request, or prose.
    """
    return _urls(text, hide)


def text(running: str) -> str:
    """Hide what looks like a secret in running text, such as the message of an exception.

    Args:
        running: prose, or JSON.
    """
    if not any(mark in running for mark in "=: ."):
        return running
    return _IN_TEXT.sub(_in_text, url(running))


def _in_text(found: re.Match[str]) -> str:
    secret = found["sent"] or found["value"] or found["jwt"]
    return (found["scheme"] or found["named"] or "") + hide(secret)


def blanked_header(name: str, value: str) -> str:
    """Give a header without its secrets: what is left to be compared where these are not known.

    Args:
        name: of the header.
        value: hidden or not.
    """
    return _header(name, value, _blank)


def blanked_url(text: str) -> str:
    """As :func:`blanked_header`, of a URL or the target of a request."""
    return _urls(text, _blank)


def is_credential(name: str) -> bool:
    """Whether a request header says who asks.

    Args:
        name: in small letters.
    """
    return _kind(name) not in {"", "set-cookie"}


@lru_cache(maxsize=1024)
def _kind(name: str) -> str:
    """Where the secrets of a header are."""
    if name in {"authorization", "proxy-authorization"}:
        return "authorization"
    if name in {"cookie", "set-cookie"}:
        return name
    return "whole" if _CREDENTIAL.fullmatch(name) else ""


def is_secret_parameter(name: str, value: str) -> bool:
    """Whether a parameter of a query is a secret.

    Args:
        name: as it is written.
        value: likewise.
    """
    return _is_secret_name(name) or (name.lower() == "key" and len(value) >= _LONG_KEY)


@lru_cache(maxsize=4096)
def _is_secret_name(name: str) -> bool:
    return bool(_PARAMETER.fullmatch(_NO_LETTER.sub("", unquote(name).lower())))


def hidden(text: str) -> bool:
    """Whether a secret in a text is not known here.

    Args:
        text: from a recording, opened.
    """
    return bool(_HIDDEN.search(text))


def damaged(text: str) -> bool:
    """Whether a text holds a token that its own key does not open.

    Args:
        text: from a recording, opened.
    """
    own = sealing.sealer() if sealing.MARK in text else None
    return own is not None and any(found["key"] in own.key_ids for found in sealing.TOKEN.finditer(text))


def why_hidden(text: str) -> str:
    """Say why a secret in a text is not known here; empty when none is hidden.

    Args:
        text: from a recording, opened.
    """
    token = sealing.TOKEN.search(text)
    if token is not None:
        return sealing.why_not(token[0])
    return "was masked while recording, because there was no key" if _MASKED.search(text) else ""


def opened(text: str, written: Hide = str) -> str:
    """Put secrets back into a text, those for which there is a key.

    Args:
        text: from a recording.
        written: how a secret is written in such a text.
    """
    own = sealing.sealer() if sealing.MARK in text else None
    if own is None:
        return text

    def put(found: re.Match[str]) -> str:
        secret = own.open(found[0])
        return found[0] if secret is None else written(secret)

    return sealing.TOKEN.sub(put, text)


def told(text: str) -> str:
    """As :func:`opened`, of what an app is told: that a secret stays closed is said, once for each reason.

    Args:
        text: from a recording.
    """
    again = opened(text)
    if sealing.MARK in again and (token := sealing.TOKEN.search(again)) is not None and closed is not None:
        closed(sealing.why_not(token[0]))
    return again


def may_be_sealed(raw: bytes) -> bool:
    """Whether there may be a sealed secret in bytes: mostly not, and then they need no other look.

    Args:
        raw: from a recording.
    """
    return _MARK in raw


def placeholders(text: str) -> str:
    """Give a text for people: a short word in place of each token, the same for the same secret.

    Args:
        text: from a recording.
    """
    return sealing.TOKEN.sub(lambda found: f"[sealed {found['key']}:{found['sealed'][:4]}]", text)


def hide(secret: str) -> str:
    """Give the token of a secret, its mask where there is no key; what is hidden already stays.

    Args:
        secret: may be empty.
    """
    if not secret or _MASKED.fullmatch(secret):
        return secret
    own = sealing.sealer()
    if own is None:
        return secret if sealing.TOKEN.fullmatch(secret) else _masked(secret)
    return secret if secret.startswith(sealing.MARK) and own.open(secret) is not None else own.seal(secret)


def seal(secret: str) -> str:
    """Give the token of a secret that a replay must give the app again: where there is no key, the secret itself.

    What is masked is lost, and an app that is given the mask would go on with a wrong answer.

    Args:
        secret: may be empty.
    """
    return secret if sealing.sealer() is None else hide(secret)


def hide_password(secret: str) -> str:
    """As :func:`hide`: of a password, which people choose, a digest would tell whether a guess is right.

    Args:
        secret: may be empty.
    """
    return hide(secret) if sealing.sealer() is not None or hidden(secret) else MASK


def _masked(secret: str) -> str:
    """Mask a secret. One that nobody can guess keeps 16 bits of its digest, so that users are told apart."""
    if len(secret) < _GUESSABLE or len(set(secret)) < _DISTINCT or not _MIXED.fullmatch(secret):
        return MASK
    short = hashlib.blake2b(secret.encode("utf-8", "surrogateescape"), digest_size=2, person=b"timetracer").hexdigest()
    return f"{MASK[:-1]}:{short}]"


def _blank(secret: str) -> str:
    """Blank a secret: every one is the same."""
    return MASK if secret else secret


def _header(name: str, value: str, how: Hide) -> str:
    name = name.lower()
    kind = _kind(name)
    if name == "host" and "@" in value:  # some clients send what stands before it in the URL
        userinfo, _, host = value.rpartition("@")
        return f"{how(userinfo)}@{host}"
    if not kind:
        return _urls(value, how)
    if kind == "authorization":
        return _authorization(value, how)
    if kind == "whole":
        return how(value)
    first, semicolon, rest = value.partition(";")
    if kind == "set-cookie":
        return _cookie(first, how) + semicolon + rest
    return ";".join(_cookie(part, how) for part in value.split(";"))


def _authorization(value: str, how: Hide) -> str:
    scheme, space, rest = value.partition(" ")
    if not rest or not _SCHEME.fullmatch(scheme):
        return how(value)
    if how is hide and scheme.lower() == "basic":
        how = hide_password
    return scheme + space + how(rest)


def _cookie(part: str, how: Hide) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        name, value = "", part
    secret = value.strip()
    start = len(value) - len(value.lstrip())
    return name + equals + value[:start] + how(secret) + value[start + len(secret) :]


def _urls(text: str, how: Hide) -> str:
    if "@" in text:
        text = _USERINFO.sub(lambda found: f"{found['scheme']}{how(found['secret'])}@", text)
    if "=" not in text:
        return text
    return _QUERY.sub(lambda found: _parameter(found, how), text)


def _parameter(found: re.Match[str], how: Hide) -> str:
    name, secret = found["name"], found["secret"]
    return found["start"] + how(secret) if is_secret_parameter(name, secret) else found[0]


def arguments(argv: Sequence[str]) -> list[str]:
    """Mask a command line: URLs' credentials, and the values of options whose name speaks of a secret.

    Args:
        argv: its words.
    """
    masked: list[str] = []
    hide_next = False
    for argument in argv:
        name, equals, _value = argument.partition("=")
        option = argument.startswith("-") and bool(_SECRET_OPTION.search(name))
        if hide_next and not argument.startswith("-"):
            masked.append(MASK)
        elif (option or ("=" in argument and not urlsplit(name).scheme and _SECRET_OPTION.search(name))) and equals:
            masked.append(f"{name}={MASK}")
        else:
            masked.append(url(argument))
        hide_next = option and not equals
    return masked
