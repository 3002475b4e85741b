"""One small use of each operation that apps need, written once for all drivers."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import bson
import pymongo
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.raw_bson import RawBSONDocument
from bson.son import SON
from gridfs.errors import NoFile
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.operations import DeleteMany, DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from tests.pymongo.driver import Driver

__all__ = ["OPERATIONS", "Use"]

NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, 123000)
OWN_ID = ObjectId("65e0c5f00000000000000001")
OWN_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@dataclass
class Use:
    """What an operation works with: a driver, its client, and a database of its own."""

    driver: Driver
    client: Any
    db: Any

    async def filled(self, count: int = 12) -> Any:
        """Give a collection of so many numbered documents."""
        await self.driver.get(self.db.drop_collection("numbers"))
        documents = [{"_id": n, "n": n, "even": not n % 2, "name": f"number {n}"} for n in range(count)]
        await self.driver.get(self.db.numbers.insert_many(documents))
        return self.db.numbers

    async def raised(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Exception:
        """Give the error that a method of the driver raises."""
        try:
            await self.driver.get(method(*arguments, **options))
        except (PyMongoError, NoFile) as error:
            return error
        raise AssertionError("nothing was raised")


Operation = Callable[[Use], Awaitable[Any]]
OPERATIONS: dict[str, Operation] = {}


def operation(function: Operation) -> Operation:
    """Add to the list."""
    OPERATIONS[function.__name__] = function
    return function


# Collection: writing


@operation
async def insert_one(use: Use) -> Any:
    result = await use.driver.get(use.db.things.insert_one({"name": "ann"}))
    return [result, await use.driver.get(use.db.things.find_one({"_id": result.inserted_id}))]


@operation
async def insert_every_type(use: Use) -> Any:
    document = {
        "_id": OWN_ID, "at": NOON, "price": Decimal128("10.10"), "raw": Binary(b"\0\xff", 5), "long": Int64(2**40), "small": Int64(1),
        "uuid": Binary.from_uuid(OWN_UUID), "float": 1.5, "int": 3, "none": None, "yes": True, "text": "naïve ☃", "list": [1, [2.0, {"x": ()}]],
        "re": Regex("^a.*", "im"), "code": Code("return 1"), "scoped": Code("return x", {"x": 1}), "ref": DBRef("things", OWN_ID), "time": Timestamp(7, 8),
        "min": MinKey(), "max": MaxKey(), "son": SON([("b", 1), ("a", 2)]), "bytes": b"plain",
    }  # fmt: skip
    await use.driver.get(use.db.things.delete_many({}))
    await use.driver.get(use.db.things.insert_one(document))
    return await use.driver.get(use.db.things.find_one({"_id": OWN_ID}))


@operation
async def insert_many(use: Use) -> Any:
    result = await use.driver.get(use.db.things.insert_many([{"n": n} for n in range(5)]))
    found = await use.driver.items(use.db.things.find({"_id": {"$in": result.inserted_ids}}).sort("n", -1))
    return [result, found]


@operation
async def update_one(use: Use) -> Any:
    numbers = await use.filled()
    return [
        await use.driver.get(numbers.update_one({"n": 3}, {"$set": {"name": "three"}, "$inc": {"times": 1}})),
        await use.driver.get(numbers.find_one({"n": 3})),
    ]


@operation
async def update_many(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.update_many({"even": True}, [{"$set": {"half": {"$divide": ["$n", 2]}}}]))


@operation
async def upsert(use: Use) -> Any:
    await use.driver.get(use.db.things.delete_many({}))
    result = await use.driver.get(use.db.things.update_one({"key": "k"}, {"$set": {"n": 1}}, upsert=True))
    return [result, await use.driver.get(use.db.things.find_one({"_id": result.upserted_id}))]


@operation
async def replace_one(use: Use) -> Any:
    numbers = await use.filled()
    result = await use.driver.get(numbers.replace_one({"_id": 1}, {"n": "one"}))
    return [result, await use.driver.get(numbers.find_one({"_id": 1}))]


@operation
async def delete_one(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.delete_one({"n": 3}))


@operation
async def delete_many(use: Use) -> Any:
    numbers = await use.filled()
    return [await use.driver.get(numbers.delete_many({"even": True})), await use.driver.get(numbers.count_documents({}))]


@operation
async def find_one_and_update(use: Use) -> Any:
    numbers = await use.filled()
    change, after = {"$inc": {"n": 100}}, pymongo.ReturnDocument.AFTER
    return await use.driver.get(numbers.find_one_and_update({"_id": 2}, change, return_document=after, projection=["n"]))


@operation
async def find_one_and_replace(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.find_one_and_replace({"_id": 2}, {"n": 7}))


@operation
async def find_one_and_delete(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.find_one_and_delete({"even": True}, sort=[("n", -1)]))


@operation
async def bulk_write(use: Use) -> Any:
    numbers = await use.filled()
    requests = [
        InsertOne({"_id": 100}), UpdateOne({"_id": 1}, {"$set": {"n": -1}}), UpdateMany({"even": True}, {"$unset": {"name": 1}}),
        ReplaceOne({"_id": 200}, {"n": 200}, upsert=True), DeleteOne({"_id": 3}), DeleteMany({"n": {"$gt": 9}}),
    ]  # fmt: skip
    ordered = await use.driver.get(numbers.bulk_write(requests))
    return [ordered, await use.driver.get(numbers.bulk_write([DeleteOne({"_id": 0}), InsertOne({"n": 0})], ordered=False))]


@operation
async def client_bulk_write(use: Use) -> Any:
    name = f"{use.db.name}.bulk"
    await use.driver.get(use.db.bulk.delete_many({}))
    models = [
        InsertOne({"_id": 1}, namespace=name),
        InsertOne({"n": 2}, namespace=name),
        UpdateOne({"_id": 1}, {"$set": {"a": 1}}, namespace=name),
    ]
    return await use.driver.get(use.client.bulk_write(models, verbose_results=True))


@operation
async def unacknowledged(use: Use) -> Any:
    await use.driver.get(use.db.things.delete_many({}))
    silent = use.db.get_collection("things", write_concern=WriteConcern(w=0))
    inserted = await use.driver.get(silent.insert_one({"_id": 1}))
    updated = await use.driver.get(silent.update_one({"_id": 1}, {"$set": {"x": 2}}))
    return [inserted.acknowledged, inserted.inserted_id, updated.acknowledged]


# Collection: reading


@operation
async def find_one(use: Use) -> Any:
    numbers = await use.filled()
    return [await use.driver.get(numbers.find_one(3)), await use.driver.get(numbers.find_one({"n": 99}))]


@operation
async def find_in_batches(use: Use) -> Any:
    numbers = await use.filled(57)
    return await use.driver.items(numbers.find({}, {"name": 0}, batch_size=10).sort("n", -1))


@operation
async def find_with_options(use: Use) -> Any:
    numbers = await use.filled(20)
    pattern = re.compile("^number 1", re.IGNORECASE)
    cursor = numbers.find({"name": pattern}, {"_id": 0}).sort([("even", 1), ("n", -1)]).skip(1).limit(5).comment("hello").hint("_id_")
    return await use.driver.items(cursor)


@operation
async def find_to_list(use: Use) -> Any:
    numbers = await use.filled(30)
    cursor = numbers.find(batch_size=7)
    return await use.driver.get(cursor.to_list(None if use.driver.name == "motor" else 20))


@operation
async def cursor_closed_early(use: Use) -> Any:
    numbers = await use.filled(40)
    cursor = numbers.find(batch_size=5)
    found = await use.driver.items(cursor, limit=7)
    await use.driver.get(cursor.close())
    return [found, cursor.alive]


@operation
async def cursors_interleaved(use: Use) -> Any:
    numbers = await use.filled(30)
    first, second = numbers.find({"even": True}, batch_size=4), numbers.find({"even": True}, batch_size=4)
    found: list[Any] = []
    for _ in range(5):
        found += [await use.driver.items(first, limit=2), await use.driver.items(second, limit=3)]
    return found


@operation
async def find_raw_batches(use: Use) -> Any:
    numbers = await use.filled(30)
    return await use.driver.items(numbers.find_raw_batches({}, batch_size=8))


@operation
async def count_documents(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.count_documents({"even": True}, limit=4))


@operation
async def estimated_document_count(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.estimated_document_count())


@operation
async def distinct(use: Use) -> Any:
    numbers = await use.filled()
    return await use.driver.get(numbers.distinct("even", {"n": {"$lt": 4}}))


@operation
async def aggregate(use: Use) -> Any:
    numbers = await use.filled(30)
    pipeline = [{"$match": {"n": {"$gt": 2}}}, {"$group": {"_id": "$even", "sum": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}]
    everything = await use.driver.items(numbers.aggregate([{"$sort": {"n": 1}}], batchSize=9))
    return [await use.driver.items(numbers.aggregate(pipeline)), everything]


@operation
async def aggregate_raw_batches(use: Use) -> Any:
    numbers = await use.filled(10)
    return await use.driver.items(numbers.aggregate_raw_batches([{"$sort": {"n": 1}}]))


@operation
async def aggregate_out(use: Use) -> Any:
    numbers = await use.filled()
    await use.driver.items(numbers.aggregate([{"$match": {"even": True}}, {"$out": "evens"}]))
    return await use.driver.items(use.db.evens.find().sort("_id", 1))


@operation
async def explain(use: Use) -> Any:
    numbers = await use.filled()
    plan = await use.driver.get(numbers.find({"n": 3}).explain())
    return sorted(plan)


# Collection: indexes and others


@operation
async def indexes(use: Use) -> Any:
    numbers, get = await use.filled(), use.driver.get
    made = [
        await get(numbers.create_index([("n", 1)], unique=True)),
        await get(numbers.create_indexes([IndexModel("name"), IndexModel([("even", -1), ("n", 1)], name="both")])),
    ]
    listed = [await use.driver.items(numbers.list_indexes()), await get(numbers.index_information())]
    await get(numbers.drop_index("both"))
    await get(numbers.drop_indexes())
    return [made, listed, await get(numbers.index_information())]


@operation
async def rename_and_drop(use: Use) -> Any:
    numbers = await use.filled()
    await use.driver.get(numbers.rename("digits", dropTarget=True))
    names = sorted(await use.driver.get(use.db.list_collection_names()))
    await use.driver.get(use.db.digits.drop())
    return [names, sorted(await use.driver.get(use.db.list_collection_names()))]


@operation
async def options(use: Use) -> Any:
    await use.driver.get(use.db.drop_collection("capped"))
    made = await use.driver.get(use.db.create_collection("capped", capped=True, size=4096))
    return await use.driver.get(made.options())


# Database and client


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
    majority = use.db.get_collection("numbers", read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", wtimeout=1000))
    return [await use.driver.get(majority.insert_one({"_id": 50})), await use.driver.get(majority.find_one({"_id": 50}))]


# Sessions and transactions


@operation
async def causal_session(use: Use) -> Any:
    numbers = await use.filled()
    async with use.driver.entered(use.client.start_session(causal_consistency=True)) as session:
        await use.driver.get(numbers.insert_one({"_id": 70}, session=session))
        return await use.driver.get(numbers.find_one({"_id": 70}, session=session))


@operation
async def transaction_committed(use: Use) -> Any:
    numbers = await use.filled()
    async with use.driver.entered(use.client.start_session()) as session:
        async with use.driver.entered(session.start_transaction()):
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


# Errors


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


# Codec options


@operation
async def codec_tz_aware(use: Use) -> Any:
    options: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
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
    python_type = _Word  # type: ignore[assignment]  # the driver's base declares a property
    bson_type = Code  # type: ignore[assignment]  # as above

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
    found = []
    for representation in (UuidRepresentation.STANDARD, UuidRepresentation.PYTHON_LEGACY, UuidRepresentation.JAVA_LEGACY):
        options: CodecOptions[Any] = CodecOptions(uuid_representation=representation)
        things = use.db.get_collection("uuids", codec_options=options)
        await use.driver.get(things.delete_many({}))
        made = uuid.uuid4()
        await use.driver.get(things.insert_one({"_id": made, "other": OWN_UUID}))
        found.append(await use.driver.get(things.find_one({"_id": made})))
    return found


# GridFS and change streams


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
    found = []
    async with use.driver.entered(use.db.numbers.watch(max_await_time_ms=50)) as stream:
        await use.driver.get(use.db.numbers.insert_one({"_id": 80, "n": 80}))
        await use.driver.get(use.db.numbers.update_one({"_id": 80}, {"$set": {"n": 81}}))
        while len(found) < 2:
            event = await use.driver.get(stream.try_next())
            if event is not None:
                found.append([event["operationType"], event["documentKey"], event.get("fullDocument"), event.get("updateDescription")])
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
