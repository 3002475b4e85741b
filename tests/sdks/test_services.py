"""SDKs of services, with small servers that answer as these do."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
import stripe
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from elasticsearch import Elasticsearch, NotFoundError
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as gcs
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from twilio.rest import Client as Twilio

from tests.sdks.conftest import Run
from tests.sdks.fakes import FakeServer

pytestmark = pytest.mark.system


def test_stripe(fake: FakeServer, both: Run) -> None:
    """A charge with the SDK's own random idempotency key; a declined card is the SDK's own error."""
    fake.on(
        "POST", "/v1/payment_intents", {"id": "pi_1", "object": "payment_intent", "amount": 500, "status": "succeeded"}
    )
    declined = {"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}}
    fake.on("POST", "/v1/refunds", declined, status=402)

    def use() -> list[Any]:
        client = stripe.StripeClient("sk_test_123", base_addresses={"api": fake.url}, max_network_retries=1)
        intent = client.v1.payment_intents.create({"amount": 500, "currency": "eur", "metadata": {"order": "1"}})
        try:
            client.v1.refunds.create({"payment_intent": intent.id})
        except stripe.CardError as error:
            return [intent.amount, intent.status, str(error), error.code]
        return []

    assert both(use, fake.stop) == [500, "succeeded", "Your card was declined.", "card_declined"]


def test_twilio(fake: FakeServer, both: Run) -> None:
    """A text message through the SDK's HTTP client."""
    path = "/2010-04-01/Accounts/AC1/Messages.json"
    fake.on("POST", path, {"sid": "SM1", "body": "hi", "status": "queued", "to": "+1", "from": "+2"}, status=201)

    def use() -> list[Any]:
        client = Twilio("AC1", "token")
        client.api.base_url = fake.url
        message = client.messages.create(body="hi", from_="+2", to="+1")
        return [message.sid, message.status]

    assert both(use, fake.stop) == ["SM1", "queued"]


def test_sendgrid(fake: FakeServer, both: Run) -> None:
    """A mail through urllib."""
    fake.on("POST", "/v3/mail/send", b"", status=202, X_Message_Id="m1")

    def use() -> list[Any]:
        client = SendGridAPIClient("key", host=fake.url)
        reply = client.send(Mail("a@example.com", "b@example.com", "subject", "<b>text</b>"))
        return [reply.status_code, reply.headers["X-Message-Id"]]

    assert both(use, fake.stop) == [202, "m1"]


def test_elasticsearch(fake: FakeServer, both: Run) -> None:
    """Index, bulk, search with packed requests; a missing document is the client's own error."""
    product: dict[str, Any] = {
        "X_Elastic_Product": "Elasticsearch",
        "Content_Type": "application/vnd.elasticsearch+json;compatible-with=9",
    }
    fake.on("PUT", "/things/_doc/1", {"_id": "1", "result": "created"}, status=201, **product)
    fake.on("PUT", "/_bulk", {"errors": False, "items": []}, **product)
    fake.on("POST", "/things/_search", {"hits": {"hits": [{"_id": "1", "_source": {"n": 1}}]}}, **product)
    fake.on("GET", "/things/_doc/9", {"_id": "9", "found": False}, status=404, **product)

    def use() -> list[Any]:
        with Elasticsearch(fake.url, http_compress=True) as client:
            seen: list[Any] = [client.index(index="things", id="1", document={"n": 1})["result"]]
            seen.append(client.bulk(operations=[{"index": {"_index": "things"}}, {"n": 2}])["errors"])
            seen.append(client.search(index="things", query={"match_all": {}})["hits"]["hits"][0]["_source"])
            try:
                client.get(index="things", id="9")
            except NotFoundError as error:
                seen.append(error.status_code)
        return seen

    assert both(use, fake.stop) == ["created", False, {"n": 1}, 404]


def test_google_cloud_storage(fake: FakeServer, both: Run) -> None:
    """A multipart upload with its random boundary, and a download."""
    blob = {"name": "k", "bucket": "b", "size": "5", "generation": "1"}
    fake.on("POST", "/upload/storage/v1/b/b/o", blob)
    fake.on("GET", "/storage/v1/b/b/o/k", blob)
    fake.on("GET", "/download/storage/v1/b/b/o/k", b"hello", Content_Type="application/octet-stream")

    def use() -> list[Any]:
        options = {"api_endpoint": fake.url}
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth is typed in part
        client = gcs.Client("project", credentials=nobody, client_options=options)
        thing = client.bucket("b").blob("k")
        thing.upload_from_string("hello", checksum=None)
        return [thing.size, client.bucket("b").blob("k").download_as_bytes(checksum=None)]

    assert both(use, fake.stop) == [5, b"hello"]


def test_azure_storage_blob(fake: FakeServer, both: Run) -> None:
    """A blob is put and read; a missing one is the SDK's own error."""
    dates: dict[str, Any] = {
        "Last_Modified": "Sat, 21 Nov 2026 10:00:00 GMT",
        "ETag": '"0x1"',
        "x_ms_version": "2025-01-05",
    }
    fake.on("PUT", "/account/box/k", b"", status=201, **dates)
    length: dict[str, Any] = {
        "Content_Range": "bytes 0-4/5",
        "x_ms_blob_type": "BlockBlob",
        "Content_Type": "application/octet-stream",
    }
    fake.on("GET", "/account/box/k", b"hello", status=206, **dates, **length)
    fake.on("GET", "/account/box/missing", b"", status=404, x_ms_error_code="BlobNotFound")

    def use() -> list[Any]:
        key = {"account_name": "account", "account_key": "a2V5"}
        with BlobServiceClient(f"{fake.url}/account", credential=key) as service:
            service.get_blob_client("box", "k").upload_blob(b"hello", overwrite=True)
            seen: list[Any] = [service.get_blob_client("box", "k").download_blob().readall()]
            try:
                service.get_blob_client("box", "missing").download_blob()
            except ResourceNotFoundError as error:
                seen.append(getattr(error, "error_code", None))
        return seen

    assert both(use, fake.stop) == [b"hello", "BlobNotFound"]


def _chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_openai_streaming(fake: FakeServer, both: Run, *, asynchronous: bool) -> None:
    """A streamed completion comes token by token, and again in replay."""
    pieces = [_chunk("Hel"), _chunk("lo"), b"data: [DONE]\n\n"]
    fake.on("POST", "/v1/chat/completions", pieces, Content_Type="text/event-stream")
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}

    async def use_async() -> list[Any]:
        async with openai.AsyncOpenAI(api_key="k", base_url=fake.url + "/v1") as client:
            stream = await client.chat.completions.create(**asked)
            return [chunk.choices[0].delta.content async for chunk in stream]

    def use() -> Any:
        if asynchronous:
            return use_async()
        with openai.OpenAI(api_key="k", base_url=fake.url + "/v1") as client:
            return [chunk.choices[0].delta.content for chunk in client.chat.completions.create(**asked)]

    assert both(use, fake.stop) == ["Hel", "lo"]
