"""One small use of each operation of a database, a client, a session, a bucket and a change stream; errors; codecs."""

# ruff: noqa: D103 - the name of each operation says what it does

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import bson
import pymongo
from bson import Code, DBRef
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.raw_bson import RawBSONDocument
from bson.son import SON
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from tests.pymongo.use import NOON, OWN_ID, OWN_UUID, Use, operation


@operation
async def database_command(use: Use) -> Any:
    await use.filled()
    return [
        await use.driver.get(use.db.command("ping")),
        await use.driver.get(use.db.command("count", "numbers", query={"even": True})),
    ]


@operation
async def database_listing(use: Use) -> Any:
    await use.filled()
    found = await use.driver.items(use.db.list_collections(filter={"name": "numbers"}))
    return [[(one["name"], one["type"]) for one in found], await use.driver.get(use.db.list_collection_names())]


@operation
async def database_aggregate(use: Use) -> Any:
    try:
        return await use.driver.items(use.db.aggregate([{"$documents": [{"a": 1}, {"a": 2}]}]))
    except OperationFailure as error:
        return error


@operation
async def dereference(use: Use) -> Any:
    await use.filled()
    return await use.driver.get(use.db.dereference(DBRef("numbers", 4)))


@operation
async def client_listing(use: Use) -> Any:
    await use.filled()
    names = await use.driver.get(use.client.list_database_names())
    found = await use.driver.items(use.client.list_databases())
    return [use.db.name in names, use.db.name in [one["name"] for one in found]]


@operation
async def server_info(use: Use) -> Any:
    return await use.driver.get(use.client.server_info())


@operation
async def client_drop_database(use: Use) -> Any:
    await use.filled()
    await use.driver.get(use.client.drop_database(use.db.name))
    return await use.driver.get(use.db.list_collection_names())


@operation
async def hello_by_hand(use: Use) -> Any:
    reply = await use.driver.get(use.client.admin.command("hello"))
    return sorted(key for key in reply if key not in ("$clusterTime", "operationTime"))


@operation
async def concerns(use: Use) -> Any:
    await use.filled()
    majority = use.db.get_collection(
        "numbers", read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", wtimeout=1000)
    )
    return [
        await use.driver.get(majority.insert_one({"_id": 50})),
        await use.driver.get(majority.find_one({"_id": 50})),
    ]


@operation
async def causal_session(use: Use) -> Any:
    numbers = await use.filled()
    async with use.driver.entered(use.client.start_session(causal_consistency=True)) as session:
        await use.driver.get(numbers.insert_one({"_id": 70}, session=session))
        return await use.driver.get(numbers.find_one({"_id": 70}, session=session))


@operation
async def transaction_committed(use: Use) -> Any:
    numbers = await use.filled()
    entered = use.driver.entered
    async with entered(use.client.start_session()) as session, entered(session.start_transaction()):
        made = await use.driver.get(numbers.insert_one({"name": "in a transaction"}, session=session))
        seen = await use.driver.get(numbers.find_one({"_id": made.inserted_id}, session=session))
    return [seen, await use.driver.get(numbers.find_one({"_id": made.inserted_id}))]


@operation
async def transaction_aborted(use: Use) -> Any:
    numbers = await use.filled()
    async with use.driver.entered(use.client.start_session()) as session:
        await use.driver.get(session.start_transaction())
        await use.driver.get(numbers.delete_many({}, session=session))
        inside = await use.driver.get(numbers.count_documents({}, session=session))
        await use.driver.get(session.abort_transaction())
    return [inside, await use.driver.get(numbers.count_documents({}))]


@operation
async def with_transaction(use: Use) -> Any:
    numbers = await use.filled()

    def now(session: Any) -> Any:
        numbers.update_one({"_id": 1}, {"$inc": {"n": 10}}, session=session)
        return numbers.find_one({"_id": 1}, session=session)

    async def later(session: Any) -> Any:
        await numbers.update_one({"_id": 1}, {"$inc": {"n": 10}}, session=session)
        return await numbers.find_one({"_id": 1}, session=session)

    async with use.driver.entered(use.client.start_session()) as session:
        return await use.driver.get(session.with_transaction(now if use.driver.name == "sync" else later))


@operation
async def duplicate_key(use: Use) -> Any:
    numbers = await use.filled()
    error = await use.raised(numbers.insert_one, {"_id": 1})
    assert isinstance(error, DuplicateKeyError)
    return error


@operation
async def bulk_error(use: Use) -> Any:
    numbers = await use.filled()
    error = await use.raised(numbers.insert_many, [{"_id": 90}, {"_id": 1}, {"_id": 91}, {"_id": 2}], ordered=False)
    assert isinstance(error, BulkWriteError)
    return [error, await use.driver.get(numbers.count_documents({}))]


@operation
async def unknown_command(use: Use) -> Any:
    return await use.raised(use.db.command, "noSuchCommand")


@operation
async def bad_query(use: Use) -> Any:
    numbers = await use.filled()
    return await use.raised(numbers.find_one, {"n": {"$noSuchOperator": 1}})


@operation
async def deadline(use: Use) -> Any:
    numbers = await use.filled()
    with pymongo.timeout(20):
        return await use.driver.get(numbers.find_one({"n": 4}))


@operation
async def codec_tz_aware(use: Use) -> Any:
    options: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    aware = use.db.get_collection("times", codec_options=options)
    await use.driver.get(aware.delete_many({}))
    await use.driver.get(aware.insert_one({"_id": 1, "at": NOON}))
    return await use.driver.get(aware.find_one({"at": NOON}))


@operation
async def codec_document_class(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.with_options(codec_options=CodecOptions(document_class=SON)).find_one(2))


@operation
async def codec_raw(use: Use) -> Any:
    numbers = await use.filled()
    raw = numbers.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    await use.driver.get(raw.insert_one(RawBSONDocument(bson.encode({"_id": 60, "n": 60}))))
    return await use.driver.get(raw.find_one({"_id": 60}))


@dataclass(frozen=True)
class _Word:
    """A type of the app's own."""

    said: str


class _WordCodec(TypeCodec):
    python_type = _Word
    bson_type = Code

    def transform_python(self, value: _Word) -> Code:
        return Code(value.said)

    def transform_bson(self, value: Code) -> _Word:
        return _Word(str(value))


@operation
async def codec_type_registry(use: Use) -> Any:
    options: CodecOptions[Any] = CodecOptions(type_registry=TypeRegistry([_WordCodec()]))
    words = use.db.get_collection("words", codec_options=options)
    await use.driver.get(words.delete_many({}))
    await use.driver.get(words.insert_one({"_id": 1, "word": _Word("hello")}))
    return await use.driver.get(words.find_one({"_id": 1}))


@operation
async def codec_uuid(use: Use) -> Any:
    found: list[Any] = []
    for representation in (
        UuidRepresentation.STANDARD,
        UuidRepresentation.PYTHON_LEGACY,
        UuidRepresentation.JAVA_LEGACY,
    ):
        options: CodecOptions[Any] = CodecOptions(uuid_representation=representation)
        things = use.db.get_collection("uuids", codec_options=options)
        await use.driver.get(things.delete_many({}))
        made = uuid.uuid4()
        await use.driver.get(things.insert_one({"_id": made, "other": OWN_UUID}))
        found.append(await use.driver.get(things.find_one({"_id": made})))
    return found


@operation
async def gridfs_roundtrip(use: Use) -> Any:
    bucket, get = use.driver.bucket(use.db, chunk_size_bytes=1000), use.driver.get
    content = bytes(range(256)) * 16
    made = await get(bucket.upload_from_stream("file", content, metadata={"kind": "bytes"}))
    stream = await get(bucket.open_download_stream(made))
    read = await get(stream.read())
    found = await use.driver.items(bucket.find({"filename": "file"}).sort("uploadDate", -1), limit=1)
    await get(bucket.rename(made, "other"))
    await get(bucket.delete(made))
    return [made, read == content, len(read), stream.filename, stream.metadata, [one.length for one in found]]


@operation
async def gridfs_written_in_parts(use: Use) -> Any:
    bucket, get = use.driver.bucket(use.db, bucket_name="parts", chunk_size_bytes=64), use.driver.get
    async with use.driver.entered(bucket.open_upload_stream_with_id(OWN_ID, "parts")) as stream:
        for part in (b"a" * 50, b"b" * 50, b"c" * 50):
            await get(stream.write(part))
    named = await get(bucket.open_download_stream_by_name("parts"))
    read = await get(named.read())
    await get(bucket.delete(OWN_ID))
    gone = await use.raised(bucket.open_download_stream, OWN_ID)  # its message names the host
    return [read, type(gone).__name__]


@operation
async def change_stream(use: Use) -> Any:
    await use.filled()
    found: list[Any] = []
    async with use.driver.entered(use.db.numbers.watch(max_await_time_ms=50)) as stream:
        await use.driver.get(use.db.numbers.insert_one({"_id": 80, "n": 80}))
        await use.driver.get(use.db.numbers.update_one({"_id": 80}, {"$set": {"n": 81}}))
        while len(found) < 2:
            event = await use.driver.get(stream.try_next())
            if event is not None:
                found.append(
                    [
                        event["operationType"],
                        event["documentKey"],
                        event.get("fullDocument"),
                        event.get("updateDescription"),
                    ]
                )
    return found


@operation
async def tailable(use: Use) -> Any:
    await use.driver.get(use.db.drop_collection("log"))
    await use.driver.get(use.db.create_collection("log", capped=True, size=100_000))
    await use.driver.get(use.db.log.insert_many([{"_id": n} for n in range(5)]))
    cursor = use.db.log.find(cursor_type=pymongo.CursorType.TAILABLE, batch_size=2)
    found = await use.driver.items(cursor, limit=5)
    await use.driver.get(cursor.close())
    return found


@operation
async def exhaust(use: Use) -> Any:
    numbers = await use.filled(50)
    return await use.driver.items(numbers.find(cursor_type=pymongo.CursorType.EXHAUST, batch_size=10))
