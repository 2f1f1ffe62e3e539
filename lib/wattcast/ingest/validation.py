"""Records of a topic become rows: typed where they fulfil the contract, rejected with every broken rule where they do not.

The decision depends on the record, its Kafka timestamp and the building's metadata alone, never on the clock of the machine,
so that a retry decides the same.
"""

from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import Column, Contract
from wattcast.times import MESSAGE_TIME

RAW_PAYLOAD_BYTES = 64 * 1024
UNKNOWN_BUILDING = "building_id.unknown"  # where the setting buildings.only_known is on
JSON_TYPES = {
    "string": ("STRING",),
    "timestamp": ("STRING",),
    "boolean": ("BOOLEAN",),
    "integer": ("BIGINT",),
    "number": ("BIGINT", "DOUBLE", "FLOAT", "DECIMAL"),
}
ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})\s*$"
MINUTES_LENGTH = len("2026-03-01T09:00")
NON_FINITE = r"[:\[,]\s*[+-]?(NaN|Infinity)"


def received_rows(
    records: DataFrame,
    *,
    topic: Contract,
    table: Contract,
    metadata: DataFrame | None = None,
    only_known: bool = False,
    limited: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """One row of `table` per Kafka record (key, value, topic, partition, offset, timestamp), in no particular order.

    `metadata` has one row per building; the SQL rules of `topic` can use its columns. With `only_known` a record of a building
    without such a row is rejected; `limited` adds further reasons to `rejected_for`. A typed column is null where the record
    lacks the field or the field breaks one of the column's own rules.
    """
    parsed = _parsed(records, max_bytes=int(topic.properties["maximumBytes"]))
    fields = _fields(parsed, topic)
    checked = _checked(fields if metadata is None else _with_metadata(fields, metadata), topic)
    if metadata is not None and only_known:
        is_unknown = F.col("building_id").isNotNull() & F.col("is_known").isNull()
        rejected_for = F.when(is_unknown, F.array_append("rejected_for", F.lit(UNKNOWN_BUILDING)))
        checked = checked.withColumn("rejected_for", rejected_for.otherwise(F.col("rejected_for")))
    if "device_id" in topic.column_names:
        checked = checked.withColumn("device_id", F.coalesce("device_id", "building_id"))
    if limited:
        checked = limited(checked)
    is_rejected = F.size("rejected_for") > 0
    return checked.withColumns(
        {
            "accepted": ~is_rejected,
            "raw_payload": F.when(is_rejected, F.substring("value", 1, RAW_PAYLOAD_BYTES)),
            "payload_sha256": F.when(is_rejected, F.sha2("value", 256)),
        }
    ).select(*table.column_names)


def _parsed(records: DataFrame, *, max_bytes: int) -> DataFrame:
    """Adds the payload as text and as variant, and `broken`, the rules that the record as a whole breaks."""
    is_empty = F.coalesce(F.btrim("text", F.lit(" \t\r\n")) == "", F.lit(True))
    is_valid_text = F.expr("is_valid_utf8(text)")
    # Parsed as the first of two array elements: alone, text after the first JSON value would be ignored. A text does not contain
    # its own hash, so the second element is the hash only if the first one is the whole text.
    is_json = F.coalesce(F.expr("try_variant_get(pair, '$[1]', 'bigint')") == F.col("hash"), F.lit(False))
    is_object = F.coalesce(F.expr("schema_of_variant(json)").startswith("OBJECT<"), F.lit(False))
    texts = records.select(
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.col("timestamp").alias("kafka_timestamp"),
        "value",
        F.octet_length("value").cast("bigint").alias("payload_bytes"),
        F.when(F.octet_length("value") <= max_bytes, F.col("value").cast("string")).alias("text"),
    )
    pairs = texts.withColumn("hash", F.xxhash64("value")).withColumn(
        "pair", F.expr("try_parse_json(concat('[', text, ',', hash, ']'))")
    )
    # Null where the record cannot be read, so that no part of it becomes a building or a device.
    variants = pairs.withColumn(
        "json", F.when(is_valid_text & is_json, F.expr("try_variant_get(pair, '$[0]', 'variant')"))
    )
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
    return variants.withColumn("broken", broken)


def _fields(parsed: DataFrame, topic: Contract) -> DataFrame:
    """Adds for each column of the topic `<name>`, the value as sent, `<name>_kind`, its JSON type, and of a time `<name>_time`,
    the value as a timestamp, computed once since several rules need it."""
    fields = parsed.select(
        "*",
        *(
            F.expr(f"schema_of_variant(try_variant_get(json, '$.{c.name}', 'variant'))").alias(f"{c.name}_kind")
            for c in topic.columns
        ),
        *(F.expr(f"try_variant_get(json, '$.{c.name}', '{_sent_type(c)}')").alias(c.name) for c in topic.columns),
    )
    times = {f"{c.name}_time": _time(F.col(c.name)) for c in topic.columns if c.logical_type == "timestamp"}
    return fields.withColumns(times)


def _sent_type(column: Column) -> str:
    return "STRING" if column.logical_type == "timestamp" else column.physical_type


def _with_metadata(fields: DataFrame, metadata: DataFrame) -> DataFrame:
    columns = [name for name in metadata.columns if name == "building_id" or name not in fields.columns]
    known_buildings = metadata.select(*columns, F.lit(True).alias("is_known"))
    return fields.join(F.broadcast(known_buildings), on="building_id", how="left")


def _checked(fields: DataFrame, topic: Contract) -> DataFrame:
    """Adds `rejected_for`; each column is typed, or null where it breaks one of its own rules."""
    column_rules = {column.name: F.array_compact(F.array(*_broken_rules(column))) for column in topic.columns}
    with_broken = fields.withColumns({f"{name}_broken": broken for name, broken in column_rules.items()})
    typed = with_broken.withColumns(
        {
            column.name: F.when(F.size(f"{column.name}_broken") == 0, _typed(column)).otherwise(F.lit(None))
            for column in topic.columns
        }
    )
    of_columns = reduce(F.concat, [F.col(f"{column.name}_broken") for column in topic.columns])
    of_sql = F.array_compact(F.array(*(_name_unless(F.expr(sql), name) for name, sql in topic.rules.items())))
    is_readable = F.size("broken") == 0
    return typed.withColumn(
        "rejected_for", F.when(is_readable, F.concat(of_columns, of_sql)).otherwise(F.col("broken"))
    )


def _broken_rules(column: Column) -> Iterator[SparkColumn]:
    """For each rule of a column its name, or null where the value as sent fulfils it."""
    value, kind = F.col(column.name), F.col(f"{column.name}_kind")
    is_absent = kind.isNull() | (kind == "VOID")
    has_type = reduce(or_, [kind.startswith(allowed) for allowed in JSON_TYPES[column.logical_type]])
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
        has_pattern = value.rlike(_whole(limits["pattern"]))
        yield F.when((F.length(value) > 0) & ~has_pattern, F.lit(f"{column.name}.bad_pattern"))


def _is_within(column: Column) -> SparkColumn | None:
    bounds = [column.limits.get("minimum"), column.limits.get("maximum")]
    if bounds == [None, None]:
        return None
    typed, lowest, highest = _typed(column), *(F.lit(bound) for bound in bounds)
    if column.logical_type == "timestamp":
        lowest, highest = lowest.cast("timestamp"), highest.cast("timestamp")
        return typed.isNull() | typed.between(lowest, highest)
    return F.coalesce(typed.between(lowest, highest), F.lit(False))  # null: more than the type can hold


def _typed(column: Column) -> SparkColumn:
    """The column in its own type; null where it is no time."""
    return F.col(f"{column.name}_time" if column.logical_type == "timestamp" else column.name)


def _time(value: SparkColumn) -> SparkColumn:
    """The time of a text; null where it has another form than the times of messages, or does not exist.

    The cast alone takes much more: of a text without a date, it takes the date from the clock of the machine.
    """
    minutes, rest = value.substr(1, MINUTES_LENGTH), F.substr(value, F.lit(MINUTES_LENGTH + 1))
    with_seconds = F.when(rest.startswith(":"), value).otherwise(F.concat(minutes, F.lit(":00"), rest))
    return F.when(value.rlike(_whole(MESSAGE_TIME)), with_seconds.try_cast("timestamp"))


def _whole(pattern: str) -> str:
    """A pattern of the whole text; in Java, `$` alone also matches before a line break at the end."""
    return rf"\A(?:{pattern})\z"


def _name_unless(rule: SparkColumn, name: str) -> SparkColumn:
    """The name of a rule that does not hold; a rule that is null holds."""
    return F.when(~F.coalesce(rule, F.lit(True)), F.lit(name))
