"""Every client as one function that asks over TLS, perhaps through a proxy, and gives what the app sees."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import urllib3
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import AsyncHTTPClient
from tornado.simple_httpclient import SimpleAsyncHTTPClient


@dataclass(frozen=True)
class Trust:
    """What a client brings, each perhaps empty: files of the certificates it trusts and of its own, a proxy's URL."""

    ca: str = ""
    own: str = ""
    proxy: str = ""

    def context(self) -> ssl.SSLContext:
        """As the standard library takes it."""
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.own:
            context.load_cert_chain(self.own)
        return context


Seen = tuple[int, bytes]


def by_httpx(url: str, trust: Trust) -> Seen:
    """By httpx."""
    with httpx.Client(verify=trust.context(), proxy=trust.proxy or None, trust_env=False) as client:
        response = client.get(url)
        return response.status_code, response.content


async def by_httpx_async(url: str, trust: Trust) -> Seen:
    """By httpx, async."""
    async with httpx.AsyncClient(verify=trust.context(), proxy=trust.proxy or None, trust_env=False) as client:
        response = await client.get(url)
        return response.status_code, response.content


def by_requests(url: str, trust: Trust) -> Seen:
    """By requests."""
    with requests.Session() as session:
        session.trust_env = False
        proxies = {"https": trust.proxy} if trust.proxy else {}
        response = session.get(url, verify=trust.ca or True, cert=trust.own or None, proxies=proxies, timeout=5)
        return response.status_code, response.content


def by_urllib3(url: str, trust: Trust) -> Seen:
    """By urllib3."""
    options: dict[str, Any] = {"ca_certs": trust.ca or None, "cert_file": trust.own or None, "retries": False}
    with urllib3.ProxyManager(trust.proxy, **options) if trust.proxy else urllib3.PoolManager(**options) as manager:
        response = manager.request("GET", url, timeout=5)
        return response.status, response.data


def by_urllib(url: str, trust: Trust) -> Seen:
    """By urllib.request."""
    proxies = urllib.request.ProxyHandler({"https": trust.proxy} if trust.proxy else {})
    opener = urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=trust.context()))
    with opener.open(url, timeout=5) as response:
        return response.status, response.read()


async def by_aiohttp(url: str, trust: Trust) -> Seen:
    """By aiohttp."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, ssl=trust.context(), proxy=trust.proxy or None) as response,
    ):
        return response.status, await response.read()


async def by_tornado(url: str, trust: Trust) -> Seen:
    """By the simple client of Tornado, which knows no proxies."""
    return await _tornado(SimpleAsyncHTTPClient(force_instance=True), url, trust)


async def by_curl(url: str, trust: Trust) -> Seen:
    """By the client of Tornado over libcurl."""
    return await _tornado(CurlAsyncHTTPClient(force_instance=True), url, trust)


async def _tornado(client: AsyncHTTPClient, url: str, trust: Trust) -> Seen:
    parts = urlsplit(trust.proxy)
    proxy: dict[str, Any] = {"proxy_host": parts.hostname, "proxy_port": parts.port} if trust.proxy else {}
    own: dict[str, Any] = {"client_cert": trust.own, "client_key": trust.own} if trust.own else {}
    try:
        response = await client.fetch(url, ca_certs=trust.ca or None, request_timeout=5, **own, **proxy)
        return response.code, response.body
    finally:
        client.close()


CLIENTS: dict[str, Callable[[str, Trust], Any]] = {
    "httpx": by_httpx,
    "httpx-async": by_httpx_async,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "urllib": by_urllib,
    "aiohttp": by_aiohttp,
    "tornado-simple": by_tornado,
    "tornado-curl": by_curl,
}
