"""Records of a topic become rows: typed where they keep the contract, rejected with every broken rule where they do not.

The rules are a pure function of the record, its Kafka timestamp and the building's metadata, never of the clock of this
machine, so that a retry decides alike.
"""

from collections.abc import Iterator
from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import Column, Contract

RAW_PAYLOAD_BYTES = 64 * 1024
JSON_KINDS = {
    "string": ("STRING",),
    "timestamp": ("STRING",),
    "boolean": ("BOOLEAN",),
    "integer": ("BIGINT",),
    "number": ("BIGINT", "DOUBLE", "FLOAT", "DECIMAL"),
}
ZONE = r"(Z|[+-]\d{2}:?\d{2})$"
NON_FINITE = r"[:\[,]\s*[+-]?(NaN|Infinity)"


def received(records: DataFrame, *, topic: Contract, table: Contract, metadata: DataFrame | None = None) -> DataFrame:
    """One row of `table` per Kafka record (key, value, topic, partition, offset, timestamp), in no particular order.

    `metadata` has one row per building; its columns can be used by the SQL rules of `topic`. A typed column is null where the
    record lacks it or breaks one of that column's own rules.
    """
    parsed = _parsed(records, max_bytes=int(topic.properties["maximumBytes"]))
    fields = _fields(parsed, topic)
    judged = _judged(fields if metadata is None else _with_metadata(fields, metadata), topic)
    is_rejected = F.size("rejected_for") > 0
    device = {"device_id": F.coalesce("device_id", "building_id")} if "device_id" in topic.column_names else {}
    return judged.withColumns(
        {
            "accepted": ~is_rejected,
            "raw_payload": F.when(is_rejected, F.substring("value", 1, RAW_PAYLOAD_BYTES)),
            "payload_sha256": F.when(is_rejected, F.sha2("value", 256)),
            **device,
        }
    ).select(*table.column_names)


def _parsed(records: DataFrame, *, max_bytes: int) -> DataFrame:
    """With the payload as text, as variant, and `broken`, the rules that the record as a whole breaks."""
    is_empty = F.coalesce(F.btrim("text", F.lit(" \t\r\n")) == "", F.lit(True))
    is_valid_text = F.expr("is_valid_utf8(text)")
    # Parsed as the first of two elements: alone, whatever follows the first JSON value would be ignored.
    is_json = F.coalesce(F.expr("try_variant_get(pair, '$[1]', 'string')") == "end", F.lit(False))
    is_object = F.coalesce(F.expr("schema_of_variant(json)").startswith("OBJECT<"), F.lit(False))
    small = records.select(
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.col("timestamp").alias("kafka_timestamp"),
        "value",
        F.octet_length("value").cast("bigint").alias("payload_bytes"),
        F.when(F.octet_length("value") <= max_bytes, F.col("value").cast("string")).alias("text"),
    )
    read = small.withColumn("pair", F.expr("""try_parse_json(concat('[', text, ',"end"]'))"""))
    read = read.withColumn("json", F.expr("try_variant_get(pair, '$[0]', 'variant')"))
    is_too_large = F.col("payload_bytes") > max_bytes
    broken = (
        F.when(is_too_large, F.array(F.lit("too_large")))
        .when(is_empty, F.array(F.lit("empty_value")))
        .when(~is_valid_text, F.array(F.lit("invalid_utf8")))
        .when(~is_json & F.col("text").rlike(NON_FINITE), F.array(F.lit("not_json"), F.lit("non_finite_number")))
        .when(~is_json, F.array(F.lit("not_json")))
        .when(~is_object, F.array(F.lit("not_an_object")))
        .otherwise(F.array())
    )
    return read.withColumn("broken", broken)


def _fields(parsed: DataFrame, topic: Contract) -> DataFrame:
    """With, for each column of the topic, `<name>` as it was sent in its type, and `<name>_kind`, its JSON type."""
    return parsed.select(
        "*",
        *(
            F.expr(f"schema_of_variant(try_variant_get(json, '$.{c.name}', 'variant'))").alias(f"{c.name}_kind")
            for c in topic.columns
        ),
        *(F.expr(f"try_variant_get(json, '$.{c.name}', '{_sent_type(c)}')").alias(c.name) for c in topic.columns),
    )


def _sent_type(column: Column) -> str:
    return "STRING" if column.logical_type == "timestamp" else column.physical_type


def _with_metadata(fields: DataFrame, metadata: DataFrame) -> DataFrame:
    columns = [name for name in metadata.columns if name == "building_id" or name not in fields.columns]
    return fields.join(F.broadcast(metadata.select(*columns)), on="building_id", how="left")


def _judged(fields: DataFrame, topic: Contract) -> DataFrame:
    """With `rejected_for`, and each column typed, or null where it breaks a rule of its own."""
    own = {column.name: F.array_compact(F.array(*_broken_rules(column))) for column in topic.columns}
    checked = fields.withColumns({f"{name}_broken": broken for name, broken in own.items()})
    typed = checked.withColumns(
        {
            column.name: F.when(F.size(f"{column.name}_broken") == 0, _typed(column)).otherwise(F.lit(None))
            for column in topic.columns
        }
    )
    of_columns = reduce(F.concat, [F.col(f"{column.name}_broken") for column in topic.columns])
    is_whole = F.size("broken") == 0
    of_rules = F.array_compact(F.array(*(_unless(F.expr(sql), name) for name, sql in topic.rules.items())))
    return typed.withColumn("rejected_for", F.when(is_whole, F.concat(of_columns, of_rules)).otherwise(F.col("broken")))


def _broken_rules(column: Column) -> Iterator[SparkColumn]:
    """Null where the column as sent keeps the rule, else the rule's name."""
    value, kind = F.col(column.name), F.col(f"{column.name}_kind")
    is_absent = kind.isNull() | (kind == "VOID")
    has_type = reduce(lambda a, b: a | b, [kind.startswith(allowed) for allowed in JSON_KINDS[column.logical_type]])
    if column.required:
        yield F.when(is_absent, F.lit(f"{column.name}.missing"))
    yield F.when(~is_absent & ~has_type, F.lit(f"{column.name}.wrong_type"))
    if column.logical_type == "timestamp":
        has_zone = value.rlike(ZONE)
        yield F.when(has_type & ~has_zone, F.lit(f"{column.name}.without_zone"))
        yield F.when(has_type & has_zone & _typed(column).isNull(), F.lit(f"{column.name}.unreadable"))
    is_in_range = _is_within(column)
    if is_in_range is not None:
        yield F.when(has_type & ~is_in_range, F.lit(f"{column.name}.out_of_range"))
    limits = column.limits
    if "maxLength" in limits:
        yield F.when(
            ~F.length(value).between(limits.get("minLength", 0), limits["maxLength"]),
            F.lit(f"{column.name}.bad_length"),
        )
    if "pattern" in limits:
        yield F.when((F.length(value) > 0) & ~value.rlike(limits["pattern"]), F.lit(f"{column.name}.bad_pattern"))


def _is_within(column: Column) -> SparkColumn | None:
    bounds = [column.limits.get("minimum"), column.limits.get("maximum")]
    if bounds == [None, None]:
        return None
    typed, lowest, highest = _typed(column), *(F.lit(bound) for bound in bounds)
    if column.logical_type == "timestamp":
        lowest, highest = lowest.cast("timestamp"), highest.cast("timestamp")
        return typed.isNull() | typed.between(lowest, highest)
    return F.coalesce(typed.between(lowest, highest), F.lit(False))  # null: beyond what the type can hold


def _typed(column: Column) -> SparkColumn:
    """The column in its own type; a time without a zone is null, since it names no instant."""
    value = F.col(column.name)
    if column.logical_type != "timestamp":
        return value
    return F.when(value.rlike(ZONE), value.try_cast("timestamp"))


def _unless(rule: SparkColumn, name: str) -> SparkColumn:
    return F.when(~F.coalesce(rule, F.lit(True)), F.lit(name))
