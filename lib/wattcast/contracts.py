"""Data contracts: data-contracts/*.odcs.yaml (ODCS 3.1), the one declaration of columns, units, keys and row rules.

The Spark schemas, the table definitions and the JSON Schema of every topic come from them. `wattcast.ingest.validation` applies
the rules to records, `wattcast.contract_compatibility` compares contracts with their released versions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml
from open_data_contract_standard.model import CustomProperty, OpenDataContractStandard, SchemaObject, SchemaProperty

from wattcast.settings import project_folder
from wattcast.times import MESSAGE_TIME

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

JSON_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "timestamp": "string"}


class ContractError(ValueError):
    """A contract that cannot be used, with the reason."""


@dataclass(frozen=True)
class Column:
    """One column or message field. `limits` are ODCS logicalTypeOptions; `rules` map a rule's name to the SQL that must hold,
    `violations` to a description of a value that breaks it."""

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
    violations: Mapping[str, str] = field(default_factory=dict)

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
    """How long rows are kept: until the newest row is `days` newer, by a column of times."""

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
        """The SQL that must hold, by rule name, of all columns."""
        return {name: sql for column in self.columns for name, sql in column.rules.items()}

    @property
    def retention(self) -> Retention | None:
        """How long rows are kept; None where they are kept forever."""
        days = self.properties.get("retentionDays")
        return Retention(int(days), str(self.properties["retentionBy"])) if days else None

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of a message. It lacks the rules in SQL and allows unknown fields."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.description,
            "type": "object",
            "properties": {column.name: column.json_schema() for column in self.columns},
            "required": [column.name for column in self.columns if column.required],
        }


def contract(name: str) -> Contract:
    """The contract of a topic or table.

    Raises:
        ContractError: there is none of this name.
    """
    try:
        return contracts()[name]
    except KeyError:
        names = ", ".join(sorted(contracts()))
        raise ContractError(f"There is no contract {name}. The contracts are: {names}.") from None


@cache
def contracts() -> Mapping[str, Contract]:
    """All contracts of the project by name, read once: the files do not change while a program runs."""
    return load_contracts(project_folder("data-contracts"))


def load_contracts(folder: Path) -> Mapping[str, Contract]:
    """The contracts of a folder by name, each with the columns that it takes from another contract (`columnsOf`)."""
    documents = [_document(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.odcs.yaml"))]
    by_id = {document.id or "": document for document in documents}
    return {name: _contract(document, by_id) for name, document in by_id.items()}


def parse_contract(text: str) -> Contract:
    """The contract in a text, without the columns that it takes from another contract.

    Raises:
        ContractError: the text is not a contract.
    """
    return _contract(_document(text), None)


def tables() -> list[Contract]:
    """The contracts of tables."""
    return [contract for contract in contracts().values() if contract.kind == "table"]


def _json_type(logical_type: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": JSON_TYPES[logical_type]}
    if logical_type == "timestamp":
        schema |= {"format": "date-time", "pattern": f"^{MESSAGE_TIME}$"}
    return schema


def _document(text: str) -> OpenDataContractStandard:
    try:
        return OpenDataContractStandard.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError) as error:
        raise ContractError(f"Not a data contract: {error}") from error


def _contract(document: OpenDataContractStandard, documents: Mapping[str, OpenDataContractStandard] | None) -> Contract:
    schemas = document.schema_ or []
    if not document.id or not document.version or len(schemas) != 1:
        raise ContractError(f"Contract {document.id}: id, version and exactly one schema are required.")
    schema, properties = schemas[0], _custom(schemas[0].customProperties)
    columns = _columns(schema)
    if fault := _retention_fault(properties, columns):
        raise ContractError(f"Contract {document.id}: {fault}.")
    if documents is not None and properties.get("columnsOf"):
        is_table = schema.physicalType == "table"
        columns += _shared_columns(documents[properties["columnsOf"]], own=columns, is_table=is_table)
    return Contract(
        name=document.id,
        version=document.version,
        kind=schema.physicalType or "table",
        description=(document.description.purpose if document.description else None) or "",
        columns=tuple(columns),
        properties=properties,
    )


def _retention_fault(properties: Mapping[str, Any], columns: list[Column]) -> str:
    """Why the rows cannot have this retention; empty where they can."""
    days, column = properties.get("retentionDays"), properties.get("retentionBy")
    if days is None:
        return ""
    if properties.get("columnsOf"):
        return (
            "a table of received records must not have retentionDays: the audit would report its deleted rows as lost, and a"
            " late reading would lose the other readings of its hour"
        )
    if not isinstance(days, int) or days < 1:
        return f"retentionDays must be a whole number above 0, not {days}"
    times = [column.name for column in columns if column.logical_type == "timestamp" and column.required]
    return "" if column in times else f"retentionBy must be one of {', '.join(times)}, not {column}"


def _shared_columns(document: OpenDataContractStandard, *, own: list[Column], is_table: bool) -> list[Column]:
    """The columns of another contract that are not among `own`. In a table all of them may be null, since a rejected record
    may lack any."""
    names = {column.name for column in own}
    columns = [column for schema in document.schema_ or [] for column in _columns(schema) if column.name not in names]
    return [_nullable(column) for column in columns] if is_table else columns


def _nullable(column: Column) -> Column:
    """The column as an optional one that is not part of a key."""
    return Column(
        column.name, column.logical_type, column.physical_type, False, column.description, column.unit, column.limits,
        column.rules,
    )  # fmt: skip


def _custom(properties: list[CustomProperty] | None) -> dict[str, Any]:
    return {custom.property: custom.value for custom in properties or [] if custom.property}


def _columns(schema: SchemaObject) -> list[Column]:
    properties = _custom(schema.customProperties)
    return [_column(declared, properties) for declared in schema.properties or []]


def _column(declared: SchemaProperty, properties: Mapping[str, Any]) -> Column:
    """One column; `${name}` in its rules stands for the schema's custom property of this name."""
    if not declared.name or not declared.physicalType or not declared.logicalType or not declared.description:
        raise ContractError(f"Column {declared.name}: name, logicalType, physicalType and description are required.")
    quality = declared.quality or []
    return Column(
        name=declared.name,
        logical_type=declared.logicalType,
        physical_type=declared.physicalType,
        required=bool(declared.required),
        description=declared.description,
        unit=_custom(declared.customProperties).get("unit"),
        limits=declared.logicalTypeOptions or {},
        rules={
            rule.name or "": _filled_in(str(rule.implementation), properties)
            for rule in quality
            if rule.engine == "spark-sql"
        },
        key_position=declared.primaryKeyPosition if declared.primaryKey else None,
        partition_position=declared.partitionKeyPosition if declared.partitioned else None,
        item_type=declared.items.logicalType if declared.items else None,
        violations={rule.name or "": _filled_in(rule.description or "", properties) for rule in quality},
    )


def _filled_in(text: str, properties: Mapping[str, Any]) -> str:
    try:
        return re.sub(r"\$\{(\w+)\}", lambda reference: str(properties[reference[1]]), text)
    except KeyError as error:
        raise ContractError(
            f"The rule {text!r} refers to {error}, which is no custom property of its schema."
        ) from error
