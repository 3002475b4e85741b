"""boto3 and aioboto3 against moto's server: S3, DynamoDB, SQS, SNS, Lambda."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from tests.sdks.conftest import Run

pytestmark = pytest.mark.system


@pytest.fixture
def moto() -> Iterator[ThreadedMotoServer]:
    """A server of moto's."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    requests.post(_url(server) + "/moto-api/reset", timeout=10)  # what it keeps is the process's
    yield server
    server.stop()


def _url(server: ThreadedMotoServer) -> str:
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def test_s3(moto: ThreadedMotoServer, both: Run) -> None:
    """Objects are put (with 100-continue and checksums), streamed, listed; errors are the client's own."""
    url = _url(moto)

    def use() -> list[Any]:
        s3 = boto3.client("s3", endpoint_url=url)
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_object(Bucket="bucket", Key="k", Body=b"hello " * 1000, Metadata={"a": "1"})
        s3.upload_fileobj(io.BytesIO(b"x" * 200_000), "bucket", "file")
        got = s3.get_object(Bucket="bucket", Key="k")
        seen: list[Any] = [got["Body"].read(), got["ETag"], got["Metadata"]]
        seen.append([item["Key"] for item in s3.list_objects_v2(Bucket="bucket")["Contents"]])
        try:
            s3.get_object(Bucket="bucket", Key="missing")
        except ClientError as error:
            seen.append(str(error))
        s3.delete_object(Bucket="bucket", Key="k")
        return seen

    seen = both(use, moto.stop)
    assert seen[0] == b"hello " * 1000
    assert "NoSuchKey" in seen[-1]


def test_dynamodb(moto: ThreadedMotoServer, both: Run) -> None:
    """Items are written, read, queried; a failed condition fails again."""
    url = _url(moto)

    def use() -> list[Any]:
        table = boto3.resource("dynamodb", endpoint_url=url).create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for number in range(3):
            table.put_item(Item={"id": str(number), "n": number})
        seen: list[Any] = [table.get_item(Key={"id": str(number)})["Item"] for number in range(3)]
        try:
            table.put_item(Item={"id": "0"}, ConditionExpression="attribute_not_exists(id)")
        except ClientError as error:
            seen.append(str(error))
        seen.append(sorted(item["id"] for item in table.scan()["Items"]))
        return seen

    assert both(use, moto.stop)[-1] == ["0", "1", "2"]


def test_sqs_and_sns(moto: ThreadedMotoServer, both: Run) -> None:
    """A message that is published comes out of the queue, in replay too."""
    url = _url(moto)

    def use() -> list[Any]:
        sqs, sns = boto3.client("sqs", endpoint_url=url), boto3.client("sns", endpoint_url=url)
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        sqs.send_message(QueueUrl=queue, MessageBody="one")
        sns.publish(TopicArn=topic, Message="two")
        bodies: list[str] = []
        while len(bodies) < 2:
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return sorted(bodies)

    assert both(use, moto.stop) == ["one", "two"]


def test_lambda(moto: ThreadedMotoServer, both: Run) -> None:
    """A function is created and listed (moto runs none without Docker)."""
    url = _url(moto)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): return event")

    def use() -> Any:
        iam = boto3.client("iam", endpoint_url=url)
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        client = boto3.client("lambda", endpoint_url=url)
        client.create_function(
            FunctionName="f", Runtime="python3.11", Role=role, Handler="f.handler", Code={"ZipFile": packed.getvalue()}
        )
        return [found["FunctionName"] for found in client.list_functions()["Functions"]]

    assert both(use, moto.stop) == ["f"]


async def _use_async(url: str) -> list[Any]:
    async with get_session().create_client("s3", endpoint_url=url, region_name="eu-central-1") as s3:
        await s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        await s3.put_object(Bucket="bucket", Key="k", Body=b"async " * 500)
        got = await s3.get_object(Bucket="bucket", Key="k")
        async with got["Body"] as stream:
            return [await stream.read(), got["ETag"]]


def test_s3_through_aiobotocore(moto: ThreadedMotoServer, both: Run) -> None:
    """What aioboto3 stands on, over aiohttp."""
    url = _url(moto)
    assert both(lambda: _use_async(url), moto.stop)[0] == b"async " * 500


def test_s3_through_aioboto3(moto: ThreadedMotoServer, both: Run) -> None:
    """aioboto3 itself."""
    import aioboto3  # noqa: PLC0415 - used here alone

    url = _url(moto)

    async def use() -> Any:
        async with aioboto3.Session().client("s3", endpoint_url=url) as s3:
            await s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            await s3.put_object(Bucket="bucket", Key="k", Body=b"body")
            return await (await s3.get_object(Bucket="bucket", Key="k"))["Body"].read()

    assert both(use, moto.stop) == b"body"
