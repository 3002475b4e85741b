"""Functions of SQL that change nothing, in every database that has them."""

from __future__ import annotations

from typing import Final

__all__ = ["PURE"]

PURE: Final = frozenset({
    "abs", "any", "array", "array_agg", "array_length", "array_to_string", "avg", "bool_and", "bool_or", "btrim",
    "cardinality", "cast", "ceil", "char_length", "coalesce", "concat", "concat_ws", "count", "cume_dist",
    "date_part", "date_trunc", "dense_rank", "every", "exists", "exp", "extract", "first_value", "floor",
    "format", "generate_series", "greatest", "in", "initcap", "jsonb_agg", "jsonb_array_elements",
    "jsonb_build_object", "json_agg", "json_build_object", "lag", "last_value", "lead", "least", "left", "length",
    "ln", "log", "lower", "lpad", "ltrim", "max", "md5", "min", "mod", "not", "ntile", "nullif", "over", "and",
    "or", "on", "as", "from", "where", "when", "then", "else", "case", "by", "having", "select", "values",
    "using", "filter", "within", "distinct", "numeric", "decimal", "varchar", "char", "timestamp", "interval",
    "percent_rank", "position", "power", "rank", "regexp_replace", "repeat", "replace", "right", "round", "row",
    "row_number", "rpad", "rtrim", "sign", "some", "split_part", "sqrt", "starts_with", "string_agg",
    "string_to_array", "strpos", "substr", "substring", "sum", "to_char", "to_date", "to_json", "to_jsonb",
    "to_number", "to_timestamp", "to_tsquery", "to_tsvector", "trim", "trunc", "unnest", "upper", "variance",
    "stddev", "width_bucket", "ts_rank", "plainto_tsquery", "all", "union", "except", "intersect", "limit",
    "offset", "like", "ilike", "similar", "between", "is", "time", "date", "lateral", "rows", "with",
    "recursive", "materialized"
})  # fmt: skip
"""What may stand before a parenthesis where nothing is changed; functions of the app may do anything."""
