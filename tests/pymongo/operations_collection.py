"""One small use of each operation of a collection."""

# ruff: noqa: D103 - the name of each operation says what it does

from __future__ import annotations

import re
from typing import Any

import pymongo
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, Regex, Timestamp
from bson.son import SON
from pymongo.operations import DeleteMany, DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.write_concern import WriteConcern

from tests.pymongo.use import NOON, OWN_ID, OWN_UUID, Use, operation


@operation
async def insert_one(use: Use) -> Any:
    result = await use.driver.get(use.db.things.insert_one({"name": "ann"}))
    return [result, await use.driver.get(use.db.things.find_one({"_id": result.inserted_id}))]


@operation
async def insert_every_type(use: Use) -> Any:
    document = {
        "_id": OWN_ID, "at": NOON, "price": Decimal128("10.10"), "raw": Binary(b"\0\xff", 5), "bytes": b"plain",
        "long": Int64(2**40), "small": Int64(1), "float": 1.5, "int": 3, "none": None, "yes": True, "text": "naïve ☃",
        "uuid": Binary.from_uuid(OWN_UUID), "list": [1, [2.0, {"x": ()}]], "re": Regex("^a.*", "im"),
        "code": Code("return 1"), "scoped": Code("return x", {"x": 1}), "ref": DBRef("things", OWN_ID),
        "time": Timestamp(7, 8), "min": MinKey(), "max": MaxKey(), "son": SON([("b", 1), ("a", 2)]),
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
    return [
        await use.driver.get(numbers.delete_many({"even": True})),
        await use.driver.get(numbers.count_documents({})),
    ]


@operation
async def find_one_and_update(use: Use) -> Any:
    numbers = await use.filled()
    change, after = {"$inc": {"n": 100}}, pymongo.ReturnDocument.AFTER
    return await use.driver.get(
        numbers.find_one_and_update({"_id": 2}, change, return_document=after, projection=["n"])
    )


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
        InsertOne({"_id": 100}), UpdateOne({"_id": 1}, {"$set": {"n": -1}}),
        UpdateMany({"even": True}, {"$unset": {"name": 1}}),
        ReplaceOne({"_id": 200}, {"n": 200}, upsert=True), DeleteOne({"_id": 3}), DeleteMany({"n": {"$gt": 9}}),
    ]  # fmt: skip
    ordered = await use.driver.get(numbers.bulk_write(requests))
    return [
        ordered,
        await use.driver.get(numbers.bulk_write([DeleteOne({"_id": 0}), InsertOne({"n": 0})], ordered=False)),
    ]


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
    cursor = (
        numbers.find({"name": pattern}, {"_id": 0})
        .sort([("even", 1), ("n", -1)])
        .skip(1)
        .limit(5)
        .comment("hello")
        .hint("_id_")
    )
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
    pipeline = [
        {"$match": {"n": {"$gt": 2}}},
        {"$group": {"_id": "$even", "sum": {"$sum": "$n"}}},
        {"$sort": {"_id": 1}},
    ]
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
