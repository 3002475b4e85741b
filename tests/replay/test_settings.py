"""Settings of a replay, as the environment says them."""

from __future__ import annotations

from pathlib import Path

import pytest

from timetracer_otel import config
from timetracer_otel.config import Host
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.answering.peers import Names


def load(tmp_path: Path, **settings: str) -> config.Settings:
    """Load settings of an environment."""
    return config.load({f"TIMETRACER_{name.upper()}": text for name, text in settings.items()}, tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("Prices.Internal=127.0.0.1:5105", (Host("prices.internal", "127.0.0.1:5105"),)),
        (" a = b:1 , https://c:8443/ = [::1]:80 ", (Host("a", "b:1"), Host("https://c:8443", "[::1]:80"))),
        ("a=b,c=b", (Host("a", "b"), Host("c", "b"))),
    ],
)
def test_pairs_of_hosts(text: str, found: tuple[Host, ...], tmp_path: Path) -> None:
    """New name and recorded one, each with a scheme and a port or without."""
    assert load(tmp_path, hosts=text).hosts == found


@pytest.mark.parametrize(
    "text", ["a", "a=", "=b", "a=b:0", "a=b:70000", "a=b:x", "a b=c", "ftp://a=b", "a=b,a=c", "a=b=c"]
)
def test_no_pairs_of_hosts(text: str, tmp_path: Path) -> None:
    """Anything else is one line that names the setting."""
    with pytest.raises(ConfigError, match=r"^TIMETRACER_HOSTS: ") as raised:
        load(tmp_path, hosts=text)
    assert "\n" not in str(raised.value)


def test_what_to_do_at_a_miss(tmp_path: Path) -> None:
    """One of three words, the first unless one is given."""
    assert load(tmp_path).on_miss == "fail"
    assert load(tmp_path, on_miss="Nearest").on_miss == "nearest"
    with pytest.raises(ConfigError, match="TIMETRACER_ON_MISS='guess': must be one of fail, nearest, live"):
        load(tmp_path, on_miss="guess")


@pytest.mark.parametrize(
    ("hosts", "peer", "meant"),
    [
        ("prices.internal=127.0.0.1:5105", "http://prices.internal", "http://127.0.0.1:5105"),
        ("prices.internal=127.0.0.1:5105", "http://prices.internal:8080", "http://127.0.0.1:5105"),
        ("prices.internal=127.0.0.1:5105", "https://prices.internal", "https://127.0.0.1:5105"),
        ("prices.internal=http://127.0.0.1:5105", "https://prices.internal", "http://127.0.0.1:5105"),
        ("prices.internal=api.example", "https://prices.internal", "https://api.example"),
        ("a=b,a:81=c", "http://a:81", "http://c"),
        ("a:80=b", "http://a", "http://b"),
        ("a:80=b", "http://a:81", None),
        ("https://a=b", "http://a", None),
        ("[::1]:81=b", "http://[::1]:81", "http://b"),
        ("", "http://a", None),
    ],
)
def test_what_a_name_stands_for(hosts: str, peer: str, meant: str | None, tmp_path: Path) -> None:
    """A scheme or a port counts where it is given; the more special pair comes first."""
    names = Names(load(tmp_path, hosts=hosts).hosts, lambda _peer: False, lambda _name, _peer: None)
    assert names.given(peer, []) == meant
