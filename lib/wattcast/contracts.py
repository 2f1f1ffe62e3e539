"""Data contracts: data-contracts/*.odcs.yaml (ODCS 3.1), the one declaration of columns, units, keys and row rules.

From it come the Spark schema, the table definitions and the JSON Schema of every topic. What a record must fulfil is read
here and applied by `wattcast.readings`.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import yaml
from open_data_contract_standard.model import CustomProperty, OpenDataContractStandard, SchemaProperty

from wattcast.settings import project_folder

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

TIGHTENED: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.lt,
    "minLength": operator.lt,
    "maximum": operator.gt,
    "maxLength": operator.gt,
    "pattern": operator.ne,
    "enum": lambda was, now: not set(was) <= set(now),
}
JSON_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "timestamp": "string"}


class ContractError(ValueError):
    """A contract file that cannot be used, with the reason."""


@dataclass(frozen=True)
class Column:
    """One column or message field. `limits` are ODCS logicalTypeOptions; `rules` map a rule's name to the SQL that must hold,
    `breaches` to what is wrong where it does not."""

    name: str
    logical_type: str
    physical_type: str
    required: bool
    description: str
    unit: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    key_position: int | None = None
    partition_position: int | None = None
    item_type: str | None = None
    breaches: Mapping[str, str] = field(default_factory=dict)

    @property
    def ddl(self) -> str:
        comment = f"{self.description} [{self.unit}]" if self.unit else self.description
        quoted = comment.replace("'", "\\'")
        return f"`{self.name}` {self.physical_type}{' NOT NULL' if self.required else ''} COMMENT '{quoted}'"

    def json_schema(self) -> dict[str, Any]:
        """The field as JSON Schema; an optional one may also be null."""
        schema: dict[str, Any] = {"description": self.description}
        if self.logical_type == "array":
            schema |= {"type": "array", "items": _json_type(self.item_type or "string")}
        else:
            schema |= _json_type(self.logical_type)
            if self.logical_type != "timestamp":
                schema |= dict(self.limits)
        if not self.required:
            schema["type"] = [schema["type"], "null"]
        return schema


@dataclass(frozen=True)
class Retention:
    """Rows stay until the newest one is so many days newer, by a column of times."""

    days: int
    column: str


@dataclass(frozen=True)
class Contract:
    """One topic or table."""

    name: str
    version: str
    kind: str
    description: str
    columns: tuple[Column, ...]
    properties: Mapping[str, Any]

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def ddl(self) -> str:
        return ", ".join(column.ddl for column in self.columns)

    @property
    def schema(self) -> "StructType":
        """The columns as a Spark type; needs a session."""
        from pyspark.sql.types import StructType

        return cast("StructType", StructType.fromDDL(self.ddl))

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def key(self) -> tuple[str, ...]:
        keyed = [column for column in self.columns if column.key_position]
        return tuple(column.name for column in sorted(keyed, key=lambda column: column.key_position or 0))

    @property
    def partitioned_by(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.partition_position)

    @property
    def rules(self) -> dict[str, str]:
        """SQL that must hold, by rule name, over all columns."""
        return {name: sql for column in self.columns for name, sql in column.rules.items()}

    @property
    def retention(self) -> Retention | None:
        """How long rows are kept; None: for ever."""
        days = self.properties.get("retentionDays")
        return Retention(int(days), str(self.properties["retentionBy"])) if days else None

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of a message; the rules that SQL states are not in it. Unknown further fields are allowed."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.description,
            "type": "object",
            "properties": {column.name: column.json_schema() for column in self.columns},
            "required": [column.name for column in self.columns if column.required],
        }


def contract(name: str) -> Contract:
    """The contract of the topic or table `name`."""
    try:
        return contracts()[name]
    except KeyError:
        raise ContractError(f"There is no contract {name}: there are {', '.join(sorted(contracts()))}.") from None


@cache
def contracts() -> Mapping[str, Contract]:
    """All contracts of the project by name."""
    files = sorted(project_folder("data-contracts").glob("*.odcs.yaml"))
    documents = {(document := _document(file.read_text(encoding="utf-8"))).id or "": document for file in files}
    return {name: _contract(document, documents) for name, document in documents.items()}


def tables() -> list[Contract]:
    return [each for each in contracts().values() if each.kind == "table"]


def incompatible_changes(old: str, new: str) -> list[str]:
    """What in the contract text `new` breaks a reader or writer of `old`; empty when compatible or a new major version."""
    before, after = (_contract(_document(text), {}) for text in (old, new))
    if after.major > before.major:
        return []
    return list(_breaks(before, after))


def _breaks(before: Contract, after: Contract) -> Iterator[str]:
    columns = {column.name: column for column in after.columns}
    for was in before.columns:
        now = columns.pop(was.name, None)
        if now is None:
            yield f"{was.name} is gone"
            continue
        for what in ("physical_type", "unit", "key_position", "partition_position"):
            if getattr(was, what) != getattr(now, what):
                yield f"{was.name}: {what} {getattr(was, what)} became {getattr(now, what)}"
        if now.required and not was.required:
            yield f"{was.name} became required"
        if not now.required and was.required and before.kind == "table":
            yield f"{was.name} became optional"
        yield from _narrowed(was, now)
    for added in columns.values():
        if added.required:
            yield f"{added.name} is new and required"


def _narrowed(was: Column, now: Column) -> Iterator[str]:
    for limit, tightened in TIGHTENED.items():
        a, b = was.limits.get(limit), now.limits.get(limit)
        if b is not None and (a is None or tightened(a, b)):
            yield f"{was.name}: {limit} was narrowed"
    for rule in now.rules:
        if now.rules[rule] != was.rules.get(rule):
            yield f"{was.name}: rule {rule} is new or changed"


def _json_type(logical_type: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": JSON_TYPES[logical_type]}
    if logical_type == "timestamp":
        schema["format"] = "date-time"
    return schema


def _document(text: str) -> OpenDataContractStandard:
    try:
        return OpenDataContractStandard.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError) as error:
        raise ContractError(f"Not a data contract: {error}") from error


def _contract(document: OpenDataContractStandard, documents: Mapping[str, OpenDataContractStandard]) -> Contract:
    schemas = document.schema_ or []
    if not document.id or not document.version or len(schemas) != 1:
        raise ContractError(f"Contract {document.id}: id, version and exactly one schema are needed.")
    schema, properties = schemas[0], _custom(schemas[0].customProperties)
    own = [_column(each) for each in schema.properties or []]
    if fault := _unkept(properties, own):
        raise ContractError(f"Contract {document.id}: {fault}.")
    shared = documents[properties["columnsOf"]] if properties.get("columnsOf") else None
    if shared is not None:
        own += _shared_columns(shared, taken={column.name for column in own}, in_table=schema.physicalType == "table")
    return Contract(
        name=document.id,
        version=document.version,
        kind=schema.physicalType or "table",
        description=(document.description.purpose if document.description else None) or "",
        columns=tuple(own),
        properties=properties,
    )


def _unkept(properties: Mapping[str, Any], columns: list[Column]) -> str:
    """Why rows cannot be kept for a time only; empty where all is right."""
    days, column = properties.get("retentionDays"), properties.get("retentionBy")
    if days is None:
        return ""
    if properties.get("columnsOf"):
        return (
            "a ledger has no retentionDays, since the audit would miss its rows and a late reading the rest of its hour"
        )
    if not isinstance(days, int) or days < 1:
        return f"retentionDays cannot be {days}"
    times = [each.name for each in columns if each.logical_type == "timestamp" and each.required]
    return "" if column in times else f"retentionBy must name one of {', '.join(times)}, not {column}"


def _shared_columns(document: OpenDataContractStandard, *, taken: set[str], in_table: bool) -> list[Column]:
    """Columns of another contract: in a table of received records all may be null, since a rejected record may lack any."""
    columns = [_column(each) for schema in document.schema_ or [] for each in schema.properties or []]
    columns = [column for column in columns if column.name not in taken]
    if not in_table:
        return columns
    return [
        Column(c.name, c.logical_type, c.physical_type, False, c.description, c.unit, c.limits, c.rules)
        for c in columns
    ]


def _custom(properties: list[CustomProperty] | None) -> dict[str, Any]:
    return {each.property: each.value for each in properties or [] if each.property}


def _column(declared: SchemaProperty) -> Column:
    if not declared.name or not declared.physicalType or not declared.logicalType or not declared.description:
        raise ContractError(f"Column {declared.name}: name, logicalType, physicalType and description are needed.")
    return Column(
        name=declared.name,
        logical_type=declared.logicalType,
        physical_type=declared.physicalType,
        required=bool(declared.required),
        description=declared.description,
        unit=_custom(declared.customProperties).get("unit"),
        limits=declared.logicalTypeOptions or {},
        rules={
            rule.name or "": str(rule.implementation) for rule in declared.quality or [] if rule.engine == "spark-sql"
        },
        key_position=declared.primaryKeyPosition if declared.primaryKey else None,
        partition_position=declared.partitionKeyPosition if declared.partitioned else None,
        item_type=declared.items.logicalType if declared.items else None,
        breaches={rule.name or "": rule.description or "" for rule in declared.quality or []},
    )
