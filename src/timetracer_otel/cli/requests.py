"""The recorded request of a lane: sent again to a running app, or printed as a command that does it."""

from __future__ import annotations

import base64
import http.client
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rich.text import Text

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.opening import open_lane
from timetracer_otel.cassette.urls import split
from timetracer_otel.cli.output import console, one_line, paragraph
from timetracer_otel.cli.style import status_style
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.comparing.responses import ComparedResponse, compare_response, recorded_reply
from timetracer_otel.replay.verifying.client import Target, hidden_places, parse_url, recorded_request
from timetracer_otel.replay.verifying.sending import send as send_request
from timetracer_otel.seams import Headers

__all__ = ["FORMS", "Answer", "Form", "hidden", "print_answer", "printed", "send", "the_request"]

Form: TypeAlias = Callable[[str, str, Headers, bytes | None], str]
"""Makes a text of a method, a URL, headers and a body; None when the request announced none."""
_NAMED: Final = 5
_SECONDS: Final = 3600.0
"""How long a response may take: somebody may stand at a breakpoint."""
_MADE_ANEW: Final = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "expect", "host"})
"""Headers that every client makes by itself."""
_LENGTHS: Final = frozenset({"content-length", "transfer-encoding"})
"""Headers that announce a body, which may be empty."""
_LONGEST: Final = 100_000
"""Bytes of one argument: Linux allows 128 KiB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request that was sent again.

    Attributes:
        reply: of the app.
        recorded: what the recorded app answered.
        differences: between the two, one line each.
        hidden: headers whose secrets are not known here, and why not.
    """

    reply: ComparedResponse
    recorded: ComparedResponse
    differences: tuple[str, ...]
    hidden: Mapping[str, str]


def the_request(lanes: Sequence[Lane], named: str) -> Lane:
    """Give the one lane among some whose entry is a request of HTTP, its secrets opened as far as the key is here.

    Args:
        lanes: that were loaded.
        named: what the user called them.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = [lane for lane in lanes if lane.entry is not None and spans.HTTP_METHOD in lane.entry.attributes]
    if len(found) == 1:
        return open_lane(found[0])
    if not found:
        raise ConfigError(f"{named} holds no request: only what came by HTTP can be sent again; see `timetracer list`")
    known = ", ".join(lane.id for lane in found[:_NAMED])
    raise ConfigError(f"{named} holds {len(found)} requests: give --lane ID, such as {known}")


def send(lane: Lane, url: str | None) -> Answer:
    """Send the request of a lane, and read the response to its end.

    Args:
        lane: from :func:`the_request`.
        url: where the app listens; None for this machine and the port that the recorded request was sent to.

    Raises:
        CassetteError: the recorded body was cut or damaged.
        ConfigError: nothing listens there, or what does speaks no HTTP.
    """
    entry = _entry(lane)
    target = parse_url(url) if url is not None else _recorded_target(entry)
    request = recorded_request(entry, lane.id, ())
    where = f"http://{target.host}:{target.port}"
    try:
        reply = send_request(target, request, _SECONDS, lambda _stay, _until: None)
    except (OSError, http.client.HTTPException) as error:
        raise ConfigError(
            f"no answer from {where} ({error}): start `timetracer-replay CASSETTE -- COMMAND`, and give --url when it"
            " listens elsewhere"
        ) from error
    recorded = recorded_reply(entry)
    differences = tuple(str(one) for one in compare_response(request.method, recorded, reply))
    return Answer(reply, recorded, differences, hidden_places(entry))


def hidden(lane: Lane) -> Mapping[str, str]:
    """Give the headers of a request whose secrets are not known here, and why not.

    Args:
        lane: from :func:`the_request`.

    Raises:
        CassetteError: a secret was damaged.
    """
    return hidden_places(_entry(lane))


def print_answer(answer: Answer) -> None:
    """Print a response as it came, and below it what differs from the recorded one.

    Args:
        answer: from :func:`send`.
    """
    out = console()
    reply = answer.reply
    phrase = http.client.responses.get(reply.status or 0, "")
    status = "no response" if reply.status is None else f"{reply.status} {phrase}".rstrip()
    out.print(Text(status, status_style("lane", reply.status)))
    for name, value in reply.headers:
        out.print(Text.assemble((one_line(name), "dim"), ": ", one_line(value)))
    out.print()
    text = _text(reply.body)
    out.print(Text(f"({len(reply.body):,} bytes)" if text is None else paragraph(text)))
    out.print()
    if not answer.differences:
        out.print(Text("as recorded", "green"))
    for difference in answer.differences:
        out.print(Text.assemble(("not as recorded: ", "red"), one_line(difference)))


def _entry(lane: Lane) -> Span:
    if lane.entry is None:
        raise ConfigError(f"{lane.id} has no request: see `timetracer list`")
    return lane.entry


def _host(entry: Span) -> str:
    headers = spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)
    return next((value for name, value in headers if name.lower() == "host"), "")


def _recorded_target(entry: Span) -> Target:
    port = split(f"//{_host(entry)}").port
    if port is None:
        raise ConfigError("the recorded request does not say at which port: give --url http://127.0.0.1:PORT")
    return Target("127.0.0.1", port)


def printed(lane: Lane, form: Form, url: str | None) -> str:
    """Give the request of a lane as a command for the shell, or as a program.

    Args:
        lane: from :func:`the_request`.
        form: one of :data:`FORMS`.
        url: where the app listens; None for the recorded host.

    Raises:
        CassetteError: the recorded body was cut or damaged.
        ConfigError: the URL is none of HTTP, or there is none and the recorded host is no host.
    """
    entry = _entry(lane)
    base = _base(f"http://{_host(entry) or 'localhost'}" if url is None else url.rstrip("/"))
    recorded = spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)
    headers = [(name, value) for name, value in recorded if name.lower() not in _MADE_ANEW]
    method = entry.text(spans.HTTP_METHOD) or "GET"
    has_body = any(name.lower() in _LENGTHS for name, _ in recorded)
    body = entry.payload(spans.HTTP_REQUEST_BODY) or (b"" if has_body else None)
    return form(method, base + (entry.text(spans.HTTP_TARGET) or "/"), headers, body)


def _base(url: str) -> str:
    parts = split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{url} is no URL of a server: give --url http://127.0.0.1:PORT")
    return url


def _as_curl(method: str, url: str, headers: Headers, body: bytes | None) -> str:
    words = ["curl", "--include", *(["--head"] if method == "HEAD" else ["--request", method])]
    if set(url) & set("[]{}"):  # curl would make several URLs of it
        words.append("--globoff")
    if "/." in url:
        words.append("--path-as-is")
    for name, value in headers:
        words += ["--header", f"{name}: {value}" if value else f"{name};"]
    for name in _missing(headers, "Accept", "User-Agent", *(["Content-Type"] if body is not None else [])):
        words += ["--header", f"{name}:"]
    if body is None:
        return shlex.join([*words, url])
    text = _argument(body)
    if text is None or text.startswith("@"):  # which curl takes for the name of a file
        return _from_base64([*words, "--data-binary", "@-", url], body)
    return shlex.join([*words, "--data-binary", text, url])


def _as_httpie(method: str, url: str, headers: Headers, body: bytes | None) -> str:
    words = ["http", "--ignore-stdin", *(["--path-as-is"] if "/." in url else []), method, url]
    words += [f"{name}:{_plain(value)}" if value else f"{name};" for name, value in headers]
    added = ["Accept", "Accept-Encoding", "User-Agent", *(["Content-Type"] if body else [])]
    words += [f"{name}:" for name in _missing(headers, *added)]
    if not body:
        return shlex.join(words)
    text = _argument(body)
    if text is None:
        words.remove("--ignore-stdin")
        return _from_base64(words, body)
    return shlex.join([*words, "--raw", text])


def _missing(headers: Headers, *names: str) -> list[str]:
    """Those that a client would add by itself to what was recorded."""
    recorded = {name.lower() for name, _ in headers}
    return [name for name in names if name.lower() not in recorded]


def _plain(value: str) -> str:
    """A header's value as HTTPie takes it: one behind ``:=`` would be JSON, behind ``:@`` a file."""
    return f"\\{value}" if value[:1] in {"=", "@"} else value


def _from_base64(words: list[str], body: bytes) -> str:
    return f"echo {base64.b64encode(body).decode()} | base64 --decode | {shlex.join(words)}"


def _argument(body: bytes) -> str | None:
    """The body as an argument of a command; None when it cannot be one."""
    return _text(body) if len(body) <= _LONGEST else None


def _text(body: bytes) -> str | None:
    """The body as text that a terminal shows; None when it is binary."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _as_python(method: str, url: str, headers: Headers, body: bytes | None) -> str:
    parts = split(url)
    client = "HTTPSConnection" if parts.scheme == "https" else "HTTPConnection"
    target = url.split(parts.netloc, 1)[1]
    lines = [
        "import http.client",
        "",
        f"connection = http.client.{client}({parts.netloc!r})",
        f"connection.putrequest({method!r}, {target!r}, skip_host=True, skip_accept_encoding=True)",
        *(f"connection.putheader({name!r}, {value!r})" for name, value in [("Host", parts.netloc), *headers]),
        *([] if body is None else [f"connection.putheader('Content-Length', {str(len(body))!r})"]),
        f"connection.endheaders({body!r})" if body else "connection.endheaders()",
        "response = connection.getresponse()",
        "print(response.status, response.reason)",
        "print(response.headers)",
        "print(response.read())",
    ]
    return "\n".join(lines)


FORMS: Final[Mapping[str, Form]] = {"curl": _as_curl, "httpie": _as_httpie, "python": _as_python}
