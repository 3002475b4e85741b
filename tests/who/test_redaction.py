"""Where secrets stand, and what stands there instead: with a key, without one, with another one."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from tests.who.conftest import KEY, use
from timetracer_otel import autoload, redaction, sealing, spans
from timetracer_otel.cassette.model import Kind, Lane, Span
from timetracer_otel.cassette.opening import open_lane
from timetracer_otel.errors import ConfigError

OTHER = b64encode(bytes(range(64))).decode()
SECRETS = {
    "Authorization": ("Bearer ", "hunter2"),
    "authorization": ("AWS4-HMAC-SHA256 ", "Credential=AKIA/2026, SignedHeaders=host, Signature=abc"),
    "Proxy-Authorization": ("Basic ", "YW5uOm9uZQ=="),
    "X-Api-Key": ("", "sk live with spaces"),
    "Private-Token": ("", "glpat-1"),
    "X-Auth-Token": ("", "ümläut"),
}


pytestmark = pytest.mark.usefixtures("key")


def header(name: str, value: str) -> str:
    """A header as it is recorded."""
    return redaction.headers([(name, value)])[0][1]


@pytest.mark.parametrize(("name", "parts"), SECRETS.items())
def test_a_credential_is_sealed_and_comes_back(name: str, parts: tuple[str, str]) -> None:
    """The scheme stays readable; the token holds nothing of the secret; the key gives it back as it was."""
    scheme, secret = parts
    sealed = header(name, scheme + secret)
    assert sealed.startswith(f"{scheme}tt1.")
    assert secret not in sealed
    assert redaction.opened(sealed) == scheme + secret
    assert header(name, scheme + secret) == sealed == header(name, sealed)


def test_cookies_keep_their_names_and_attributes() -> None:
    """Values are sealed, white space and attributes are as they were, and what is empty stays empty."""
    sealed = header("Cookie", 'theme=dark;  sid="a=b" ; gone=; bare')
    assert [part.partition("=")[0].strip() for part in sealed.split(";")][:3] == ["theme", "sid", "gone"]
    assert "dark" not in sealed
    assert redaction.opened(sealed) == 'theme=dark;  sid="a=b" ; gone=; bare'
    set_cookie = header("Set-Cookie", "sid=abc; Path=/; HttpOnly; Max-Age=60")
    assert set_cookie.endswith("; Path=/; HttpOnly; Max-Age=60")
    assert set_cookie.startswith("sid=tt1.")
    assert header("Set-Cookie", "sid=; Max-Age=0") == "sid=; Max-Age=0"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://ann:p@ss@db.example/x", "p@ss"),
        ("/me?page=1&api_key=topsecret#top", "topsecret"),
        ("/me?access%5Ftoken=topsecret", "topsecret"),
        ("https://maps.example/?key=AIzaSyA-0123456789012345678901", "AIzaSyA-0123456789012345678901"),
        ("password=topsecret&name=ann", "topsecret"),
        ("/cb;jsessionid=topsecret?x=1", "topsecret"),
        ("session_key=topsecret&page=1", "topsecret"),
    ],
)
def test_secrets_in_urls(url: str, secret: str) -> None:
    """User names, passwords and secret parameters are sealed; the rest of the URL reads as before."""
    sealed = redaction.url(url)
    assert secret not in sealed
    assert redaction.opened(sealed) == url
    assert redaction.blanked_url(sealed) == redaction.blanked_url(url)
    assert header("Referer", url) == sealed


@pytest.mark.parametrize("url", ["/?key=blue", "/items?page_token=abc&next=2", "/a@b?x=y", "mailto:ann@example.org"])
def test_what_is_no_secret_stays(url: str) -> None:
    """Words that only look like it: a short key, a page's token, an address."""
    assert redaction.url(url) == url


def test_messages() -> None:
    """Secrets in prose that can be told as such, and none where a word only sounds like one."""
    message = "failed: Bearer abc12345xyz at /x?api_key=topsecret for https://ann:hunter2@h/"
    sealed = redaction.text(json.dumps({"args": [message]}))
    assert not any(secret in sealed for secret in ("abc12345xyz", "topsecret", "hunter2"))
    assert json.loads(redaction.opened(sealed))["args"] == [message]
    assert redaction.text("Basic authentication failed") == "Basic authentication failed"


def test_equal_secrets_and_only_those_have_equal_tokens() -> None:
    """So requests are told apart without the key; a short secret does not show its length."""
    tokens = [header("X-Api-Key", secret) for secret in ("1", "2", "1", "123456")]
    assert tokens[0] == tokens[2] != tokens[1]
    assert len({len(token) for token in tokens}) == 1


def test_without_a_key_guessable_secrets_all_look_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what can be guessed not one bit stays; long random ones are still told apart, by 16 bits."""
    use(monkeypatch, "none")
    guessable = ["1234", "hunter2", "correct horse battery staple", "a" * 40, "Summer2026"]
    assert {header("X-Api-Key", secret) for secret in guessable} == {"[redacted]"}
    assert header("Authorization", "Basic YW5uOmEtdmVyeS1sb25nLXBhc3N3b3JkLTEyMw==") == "Basic [redacted]"
    tokens = {header("Authorization", f"Bearer 4f9a8c7e6b5d-0123456789-user-{n}") for n in range(5)}
    assert len(tokens) == 5
    assert all(redaction.hidden(token) and header("Authorization", token) == token for token in tokens)
    assert header("Cookie", "theme=dark; sid=1") == "theme=[redacted]; sid=[redacted]"


def test_another_key_and_a_damaged_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay as they are, and it is said why."""
    sealed = header("Authorization", "Bearer topsecret")
    use(monkeypatch, OTHER)
    assert redaction.opened(sealed) == sealed
    assert sealed[11:17] in redaction.why_hidden(sealed)
    assert "not here" in redaction.why_hidden(sealed)
    assert not redaction.damaged(sealed)
    use(monkeypatch, f"{OTHER},{KEY}")
    assert redaction.opened(sealed) == "Bearer topsecret"
    damaged = sealed[:-2] + ("AA" if not sealed.endswith("AA") else "BB")
    assert redaction.opened(damaged) == damaged
    assert "damaged" in redaction.why_hidden(damaged)
    assert redaction.damaged(damaged)


@pytest.mark.parametrize("text", ["tt1.", "tt1.zzzzzz.abc", "tt1.abcdef." + "A" * 100_000, "tt1.abcdef." + "-_" * 40])
def test_hostile_tokens(text: str) -> None:
    """Whatever looks like a token is text: nothing is raised, and it is sealed like any other."""
    assert redaction.opened(text) == text
    assert redaction.opened(header("X-Api-Key", text)) == text
    redaction.why_hidden(text)
    redaction.placeholders(text)


def test_people_see_placeholders() -> None:
    """The same for the same secret."""
    one, other = (redaction.placeholders(header("X-Api-Key", secret)) for secret in ("a", "b"))
    assert one.startswith("[sealed ")
    assert len(one) < 25
    assert one != other


def test_unsealing_gives_the_recorded_headers_whatever_is_in_them() -> None:
    """Quotes, backslashes and control characters survive the JSON that headers are kept as."""
    pairs = [("Cookie", 'a="x\\y\u0001"'), ("X-Api-Key", 'quo"te'), ("Plain", "tt1.abcdef.nothing")]
    attributes: dict[str, object] = {
        spans.HTTP_TARGET: redaction.url("/?token=a%22b"),
        **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, redaction.headers(pairs)),
    }
    span = Span("1", "2", None, "n", Kind.SERVER, 0, 1, attributes, {})
    open_lane(Lane("1", None, [span]))
    assert spans.decode_headers(span.attributes, spans.HTTP_REQUEST_HEADERS) == pairs
    assert span.text(spans.HTTP_TARGET) == "/?token=a%22b"


def test_the_first_recording_makes_a_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Readable by its owner only; made once; the line that was first seals, the others open."""
    use(monkeypatch, None)
    assert sealing.sealer() is None
    sealing.make_key()
    file = tmp_path / "config" / "timetracer" / "keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    before = file.read_text()
    sealing.make_key()
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == ["keys"]
    old = header("X-Api-Key", "secret")
    key = sealing.rotate()
    assert header("X-Api-Key", "secret").startswith(f"tt1.{key.id}.")
    assert redaction.opened(old) == "secret"


def test_a_key_file_that_another_process_made_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looked before it was there uses it from the next recording on."""
    use(monkeypatch, None)
    assert header("X-Api-Key", "secret") == "[redacted]"
    code = "from timetracer_otel import sealing; sealing.make_key()"
    subprocess.run([sys.executable, "-c", code], check=True)
    sealing.make_key()
    assert redaction.opened(header("X-Api-Key", "secret")) == "secret"


def test_where_no_key_can_be_made_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No place for settings, or something in its way: secrets are masked, and nothing is raised."""
    use(monkeypatch, None)
    (tmp_path / "config").write_text("a file")
    sealing.make_key()
    assert header("X-Api-Key", "secret") == "[redacted]"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    sealing.make_key()
    assert not Path("relative").exists()
    assert header("X-Api-Key", "secret") == "[redacted]"


@pytest.mark.parametrize("content", ["rubbish", "abcdef " + KEY, "\x00\xff", "abcdef"])
def test_a_damaged_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    """A recording masks; a command says which line is wrong, and does not repeat it."""
    use(monkeypatch, None)
    file = tmp_path / "config" / "timetracer" / "keys"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    sealing.forget()
    assert header("X-Api-Key", "secret") == "[redacted]"
    with pytest.raises(ConfigError, match="line 1") as raised:
        sealing.check()
    assert KEY not in str(raised.value)


def test_a_key_file_of_somebody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that others may write, or a link, is not used."""
    use(monkeypatch, None)
    sealing.make_key()
    file = tmp_path / "config" / "timetracer" / "keys"
    file.chmod(0o666)
    sealing.forget()
    with pytest.raises(ConfigError, match="chmod 600"):
        sealing.check()
    assert sealing.sealer() is None
    file.chmod(0o600)
    file.rename(file.with_name("real"))
    file.symlink_to("real")
    with pytest.raises(ConfigError, match="cannot be read"):
        sealing.check()


@pytest.mark.parametrize("key", ["hunter2", "c2hvcnQ=", "a" * 43, f"{KEY},x"])
def test_what_is_no_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A recording masks; a command says so without repeating it."""
    use(monkeypatch, key)
    assert header("X-Api-Key", "secret") == "[redacted]"
    with pytest.raises(ConfigError, match="TIMETRACER_KEY holds no key") as raised:
        sealing.check()
    assert "hunter2" not in str(raised.value)


def test_a_wrong_key_is_said_when_a_recording_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On one line, which does not repeat it; a right one needs no word."""
    monkeypatch.setenv(sealing.VARIABLE, "not-a-key")
    autoload._make_key()
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]
    assert "secrets are masked" in caplog.text
    assert "not-a-key" not in caplog.text
    caplog.clear()
    monkeypatch.setenv(sealing.VARIABLE, "none")
    autoload._make_key()
    assert not caplog.records
