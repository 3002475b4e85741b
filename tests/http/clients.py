"""Every client as one function: send a shape, give all that the app can see of the response."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import requests
import urllib3
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import AsyncHTTPClient
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tests.http.shapes import Shape

Seen = dict[str, Any]


def _without_date(pairs: Any) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in pairs]


def httpx_sync(base: str, shape: Shape) -> Seen:
    """httpx.Client, following redirects."""
    with httpx.Client(follow_redirects=True, timeout=shape.timeout, trust_env=False) as client:
        response = client.request(shape.method, base + shape.path, headers=shape.headers, content=shape.body)
        return _httpx_seen(response) | {"cookies": dict(client.cookies)}


async def httpx_async(base: str, shape: Shape) -> Seen:
    """httpx.AsyncClient, following redirects."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=shape.timeout, trust_env=False) as client:
        response = await client.request(shape.method, base + shape.path, headers=shape.headers, content=shape.body)
        return _httpx_seen(response) | {"cookies": dict(client.cookies)}


def _httpx_seen(response: httpx.Response) -> Seen:
    return {
        "class": type(response),
        "status": response.status_code,
        "reason": response.reason_phrase,
        "version": response.http_version,
        "headers": response.headers.raw,
        "content": response.content,
        "url": str(response.url),
        "encoding": response.encoding,
        "elapsed": type(response.elapsed),
        "extensions": {key: value for key, value in response.extensions.items() if key != "network_stream"},
        "history": [_httpx_seen(hop) for hop in response.history],
    }


def requests_(base: str, shape: Shape) -> Seen:
    """requests.Session."""
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(
            shape.method, base + shape.path, headers=shape.headers, data=shape.body, timeout=shape.timeout
        )
        return _requests_seen(response) | {"cookies": session.cookies.get_dict()}


def _requests_seen(response: requests.Response) -> Seen:
    return {
        "class": type(response),
        "raw": type(response.raw),
        "status": response.status_code,
        "reason": response.reason,
        "version": response.raw.version,
        "headers": _without_date(response.raw.headers.items()),
        "content": response.content,
        "url": response.url,
        "encoding": response.encoding,
        "elapsed": type(response.elapsed),
        "history": [_requests_seen(hop) for hop in response.history],
    }


def urllib3_(base: str, shape: Shape) -> Seen:
    """urllib3.PoolManager."""
    with urllib3.PoolManager(retries=urllib3.Retry(5, connect=0, read=0, redirect=5, other=0)) as manager:
        response = manager.request(
            shape.method, base + shape.path, headers=shape.headers, body=shape.body, timeout=shape.timeout
        )
        return {
            "class": type(response),
            "status": response.status,
            "reason": response.reason,
            "version": response.version,
            "headers": _without_date(response.headers.iteritems()),
            "content": response.data,
            "url": response.geturl(),
            "history": [(hop.status, hop.redirect_location) for hop in (response.retries or urllib3.Retry()).history],
        }


def urllib_(base: str, shape: Shape) -> Seen:
    """urllib.request."""
    request = urllib.request.Request(base + shape.path, shape.body, shape.headers, method=shape.method)  # noqa: S310 - a test's own http: URL
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
    try:
        response = opener.open(request, timeout=shape.timeout)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return {
            "class": type(response),
            "status": response.status,
            "reason": response.reason,
            "headers": _without_date(response.headers.items()),
            "content": response.read(),
            "url": response.url,
        }


async def aiohttp_(base: str, shape: Shape) -> Seen:
    """aiohttp.ClientSession."""
    timeout = aiohttp.ClientTimeout(total=10, sock_read=shape.timeout)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        session.request(shape.method, base + shape.path, headers=shape.headers, data=shape.body) as response,
    ):
        content = await response.read()
        cookies = {cookie.key: cookie.value for cookie in session.cookie_jar}
        return _aiohttp_seen(response) | {"content": content, "cookies": cookies}


def _aiohttp_seen(response: aiohttp.ClientResponse) -> Seen:
    return {
        "class": type(response),
        "status": response.status,
        "reason": response.reason,
        "version": response.version,
        "headers": response.raw_headers,
        "url": str(response.url),
        "history": [_aiohttp_seen(hop) for hop in response.history],
    }


async def tornado_simple(base: str, shape: Shape) -> Seen:
    """The simple client of tornado."""
    return await _tornado(SimpleAsyncHTTPClient(force_instance=True), base, shape)


async def tornado_curl(base: str, shape: Shape) -> Seen:
    """The client of tornado over libcurl."""
    return await _tornado(CurlAsyncHTTPClient(force_instance=True), base, shape)


async def _tornado(client: AsyncHTTPClient, base: str, shape: Shape) -> Seen:
    try:
        response = await client.fetch(
            base + shape.path,
            raise_error=False,
            method=shape.method,
            headers=shape.headers,
            body=shape.body,
            request_timeout=shape.timeout,
            allow_nonstandard_methods=True,
        )
    finally:
        client.close()
    return {
        "class": type(response),
        "status": response.code,
        "reason": response.reason,
        "headers": list(response.headers.get_all()),
        "content": response.body,
        "url": response.effective_url,
        "error": (type(response.error), str(response.error)),
    }


CLIENTS: dict[str, Callable[[str, Shape], Any]] = {
    "httpx": httpx_sync,
    "httpx-async": httpx_async,
    "requests": requests_,
    "urllib3": urllib3_,
    "urllib": urllib_,
    "aiohttp": aiohttp_,
    "tornado-simple": tornado_simple,
    "tornado-curl": tornado_curl,
}
