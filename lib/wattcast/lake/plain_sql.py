"""Which queries are plain: DuckDB and Spark read the same text in the same way, and give the same rows.

Much of SQL means different things to them: `p10_kwh[0]` is the first hour for Spark and none for DuckDB, a cast to INT truncates
or rounds, `log` has another base, and Spark ends with an error where DuckDB divides by zero. So a query is plain only if every
node of its syntax tree, as DuckDB serialises it, is one that is listed here. Everything else is for Spark.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]

QUOTES = re.compile(r"""["`\\$]""")  # also escapes and variables, which Spark reads inside of texts, too
COMMENTS_AND_SUFFIXES = re.compile(r"--|/\*|#|(?<![\w.])\d[\d.]*[A-Za-z_]")  # such as 1L
LITERAL = re.compile(r"'(?:[^']|'')*'")
TIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
START = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
IGNORED = {"query_location", "query_location_length", "qualified_name", "is_legacy_function_call", "export_state"}

AGGREGATES = {"count", "sum", "avg", "min", "max"}  # Spark names a column `sum(x)` as DuckDB does
FUNCTIONS = {
    **dict.fromkeys(AGGREGATES | {"count_if", "abs", "sqrt", "year", "month", "day", "hour", "minute"}, (1,)),
    "count_star": (0,), "nullif": (2,), "+": (2,), "-": (1, 2), "*": (2,), "/": (2,), "~~": (2,), "!~~": (2,),
}  # fmt: skip
INTERVALS = {"to_seconds", "to_minutes", "to_hours", "to_days", "to_weeks"}
NAMES_OF_SPARK = {"count_star()": "count(1)"}  # of columns without an alias, by DuckDB's name

# The keys and types of each kind of node that is read the same, without empty values.
KEYS = {
    "SELECT_NODE": {"type", "modifiers", "cte_map", "select_list", "from_table", "where_clause", "group_expressions",
                    "group_sets", "aggregate_handling", "having"},
    "EMPTY": {"type"},
    "BASE_TABLE": {"type", "alias", "table_name"},
    "SUBQUERY_REF": {"type", "alias", "subquery"},
    "JOIN": {"type", "left", "right", "condition", "join_type", "ref_type", "using_columns", "is_implicit", "nearest_count",
             "nearest_order_type"},
    "ORDER_MODIFIER": {"type", "orders"},
    "LIMIT_MODIFIER": {"type", "limit", "offset", "limit_type"},
    "DISTINCT_MODIFIER": {"type"},
    "COLUMN_REF": {"class", "type", "alias", "column_names"},
    "CONSTANT": {"class", "type", "alias", "literal"},
    "STAR": {"class", "type", "relation_name"},
    "COMPARISON": {"class", "type", "alias", "left", "right"},
    "CONJUNCTION": {"class", "type", "alias", "children"},
    "OPERATOR": {"class", "type", "alias", "children"},
    "BETWEEN": {"class", "type", "alias", "input", "lower", "upper"},
    "CAST": {"class", "type", "alias", "child", "type_expr"},
    "SUBQUERY": {"class", "type", "alias", "subquery_type", "subquery", "child", "comparison_type"},
    "FUNCTION": {"class", "type", "alias", "function_name", "order_bys", "is_operator", "arguments", "filter", "distinct"},
}  # fmt: skip
OPERATORS = {
    "OPERATOR_NOT",
    "OPERATOR_IS_NULL",
    "OPERATOR_IS_NOT_NULL",
    "OPERATOR_COALESCE",
    "COMPARE_IN",
    "COMPARE_NOT_IN",
}
LITERALS = {"INTEGER", "NUMERIC", "STRING", "BOOLEAN", "NULL_LITERAL"}


class NotPlain(ValueError):
    """A query that only Spark can answer, with the reason."""


def check_text(query: str) -> None:
    """Raise NotPlain for a text that the two read differently before its syntax counts."""
    if not START.match(query):
        raise NotPlain("it is no SELECT statement")
    if match := QUOTES.search(query) or COMMENTS_AND_SUFFIXES.search(LITERAL.sub("''", query)):
        raise NotPlain(f"it contains {match[0]}")


def table_names(tree: Node) -> set[str]:
    """The names of tables and views that a query reads, in lower case, without those of its WITH clauses."""
    names = {node["table_name"].lower() for node in _nodes(tree) if node.get("type") == "BASE_TABLE"}
    return names - _names_of_with(tree)


def select_node(serialised: Node) -> Node:
    """The only statement that DuckDB serialised, without empty values and positions.

    Raises:
        NotPlain: DuckDB cannot parse it, or there are several.
    """
    statements = serialised.get("statements", ())
    if serialised["error"] or len(statements) != 1:
        raise NotPlain(str(serialised.get("error_message", "it has several statements")).split("\n")[0])
    node: Node = _compact(statements[0]["node"])
    return node


def check_tree(tree: Node, *, tables: Collection[str], columns: Collection[str]) -> None:
    """Check that a query is plain. `tables` are the names that it may read, `columns` those of the tables that it reads.

    Raises:
        NotPlain: it is not.
    """
    own = _names_of_with(tree)
    if shadowed := sorted(own & {*tables}):
        raise NotPlain(f"its WITH clause names a query {shadowed[0]}, as a table is named")
    has_dates = any(node.get("type_name") == "DATE" for node in _nodes(tree)) or "accuracy_by_day" in table_names(tree)
    if has_dates and any(node.get("function_name") in ("+", "-") for node in _nodes(tree)):
        raise NotPlain("it computes with dates")
    _Check({*tables} | own, {*columns}, tree).select(tree, is_outer=True)


class _Check:
    """The check of one tree; every method raises NotPlain."""

    def __init__(self, tables: set[str], columns: set[str], tree: Node) -> None:
        aliases = [str(node["alias"]) for node in _nodes(tree) if node.get("class") and node.get("alias")]
        self._tables, self._columns = tables, columns | {*aliases}
        sources = [
            node for node in _nodes(tree) if node.get("type") in ("BASE_TABLE", "SUBQUERY") and "class" not in node
        ]
        self._qualifiers = {str(node.get("alias") or node.get("table_name")) for node in sources}
        self._own_columns = columns

    def select(self, node: Node, *, is_outer: bool = False) -> None:
        _expect(node.get("type") == "SELECT_NODE", f"it uses {node.get('type')}")
        _check_keys(node, "SELECT_NODE")
        for entry in node["cte_map"].get("map", ()) if node.get("cte_map") else ():
            _expect(set(entry["value"]) <= {"materialized", "query_node"}, "its WITH clause has options")
            self.select(entry["value"]["query_node"])
        self.table(node["from_table"])
        groups = node.get("group_sets", [])
        _expect(len(groups) <= 1, "it uses grouping sets")
        for expression in node["select_list"]:
            self.output(expression, is_outer=is_outer)
        if any(item["class"] == "STAR" for item in node["select_list"]):
            _expect(not any(join.get("using_columns") for join in _nodes(node)), "it selects * of a join by USING")
        for expression in (*node.get("group_expressions", ()), *_present(node, "where_clause", "having")):
            self.expression(expression)
        for modifier in node.get("modifiers", ()):
            self.modifier(modifier)

    def output(self, node: Node, *, is_outer: bool) -> None:
        """A column of the result: its name must be the one that Spark gives it."""
        alias, kind = node.get("alias"), node["class"]
        if alias and alias in self._own_columns:
            is_same = kind == "COLUMN_REF" and node["column_names"][-1] == alias
            _expect(is_same, f"its alias {alias} is the name of a column, too")
        is_named = bool(alias) or kind in ("COLUMN_REF", "STAR") or _is_integer(node)
        _expect(is_named or (is_outer and _is_simple_aggregate(node)), "a computed column has no alias")
        self.expression(node)

    def table(self, node: Node) -> None:
        kind = "SUBQUERY_REF" if node["type"] == "SUBQUERY" else node["type"]
        _check_keys(node, kind)
        if kind == "BASE_TABLE":
            _expect(node["table_name"].lower() in self._tables, f"it reads {node['table_name']}")
        elif kind == "SUBQUERY_REF":
            self.select(node["subquery"]["node"])
        elif kind == "JOIN":
            _expect(node["join_type"] in ("INNER", "LEFT"), f"it uses a {node['join_type']} join")
            _expect(node["ref_type"] in ("REGULAR", "CROSS"), f"it uses a {node['ref_type']} join")
            self.table(node["left"])
            self.table(node["right"])
            for expression in _present(node, "condition"):
                self.expression(expression)

    def modifier(self, node: Node) -> None:
        _check_keys(node, node["type"])
        if node["type"] == "LIMIT_MODIFIER":
            _expect(node.get("limit_type") == "ROW_COUNT", "its LIMIT is no number of rows")
            _expect(all(map(_is_integer, _present(node, "limit", "offset"))), "its LIMIT is computed")
        for order in node.get("orders", ()):
            _expect(order["expression"]["class"] != "STAR", "it orders by all columns")
            self.expression(order["expression"])

    def expression(self, node: Node, *, is_computed: bool = False) -> None:
        """`is_computed`: the value goes into a function, whose decimal numbers the two compute with different precision."""
        kind = node.get("class", "")
        _check_keys(node, kind)
        checks: dict[str, Callable[[Node], None]] = {
            "COLUMN_REF": self._column, "CAST": self._cast, "FUNCTION": self._function, "SUBQUERY": self._subquery,
        }  # fmt: skip
        if kind in checks:
            checks[kind](node)
        elif kind == "CONSTANT":
            literal = node["literal"]["kind"]
            _expect(literal in LITERALS, f"it has a constant of the kind {literal}")
            _expect(not (is_computed and literal == "NUMERIC"), "it computes with a decimal number")
        elif kind == "OPERATOR":
            _expect(node["type"] in OPERATORS, f"it uses {node['type']}")
        inner = is_computed and kind == "OPERATOR" and node["type"] == "OPERATOR_COALESCE"
        for child in (*node.get("children", ()), *_present(node, "left", "right", "input", "lower", "upper")):
            self.expression(child, is_computed=inner)

    def _column(self, node: Node) -> None:
        *qualifier, name = node["column_names"]
        _expect(name in self._columns, f"it names {name}, which is no column of its tables")
        _expect(len(qualifier) <= 1 and {*qualifier} <= self._qualifiers, f"it names {'.'.join(node['column_names'])}")

    def _cast(self, node: Node) -> None:
        """Only a time or a date as text, and the date of a column."""
        target, child = node["type_expr"].get("type_name"), node["child"]
        is_text = child["class"] == "CONSTANT" and child["literal"]["kind"] == "STRING"
        is_time = is_text and TIME.fullmatch(child["literal"].get("text", "")) is not None
        is_date = target == "DATE" and child["class"] == "COLUMN_REF"
        _expect(is_date or (is_time and target in ("DATE", "TIMESTAMP")), f"it casts to {target}")
        self.expression(child)

    def _subquery(self, node: Node) -> None:
        self.select(node["subquery"]["node"], is_outer=True)
        for child in _present(node, "child"):
            self.expression(child)

    def _function(self, node: Node) -> None:
        name, arguments = node["function_name"], node.get("arguments", [])
        if name in INTERVALS:
            _expect(len(arguments) == 1 and _is_interval(arguments[0]["expression"]), "its interval is computed")
            return
        _expect(name in FUNCTIONS, f"it uses {name}")
        _expect(len(arguments) in FUNCTIONS[name], f"it uses {name} with {len(arguments)} arguments")
        _expect(not node.get("order_bys", {}).get("orders"), f"it orders the rows of {name}")
        _expect(all(set(argument) == {"expression"} for argument in arguments), f"it names the arguments of {name}")
        values = [argument["expression"] for argument in arguments]
        if name == "/":
            _expect(_is_never_zero(values[1]), "it divides by what may be zero")
        for value in (*values, *_present(node, "filter")):
            self.expression(value, is_computed=True)


def _names_of_with(tree: Node) -> set[str]:
    return {entry["key"].lower() for node in _nodes(tree) for entry in node.get("cte_map", {}).get("map", ())}


def _is_simple_aggregate(node: Node) -> bool:
    """Whether the two name a column of this aggregate alike, such as `sum(x)`."""
    if node["class"] != "FUNCTION" or node.get("distinct") or node.get("filter"):
        return False
    values = [argument["expression"] for argument in node.get("arguments", ())]
    is_of_column = [len(value.get("column_names", ())) == 1 for value in values]
    return node["function_name"] == "count_star" or (node["function_name"] in AGGREGATES and all(is_of_column))


def _is_interval(node: Node) -> bool:
    """Whether a whole number, in the casts in which DuckDB wraps it."""
    while node["class"] in ("CAST", "FUNCTION"):
        if node["class"] == "FUNCTION" and (node["function_name"] != "trunc" or len(node["arguments"]) != 1):
            return False
        node = node["child"] if node["class"] == "CAST" else node["arguments"][0]["expression"]
    return _is_integer(node)


def _is_never_zero(node: Node) -> bool:
    """Whether a divisor is another number than 0, or null instead of 0."""
    if node["class"] == "FUNCTION" and node["function_name"] == "nullif":
        last = node["arguments"][-1]["expression"]
        return _is_integer(last) and int(last["literal"]["text"]) == 0
    return _is_integer(node) and int(node["literal"]["text"]) != 0


def _is_integer(node: Node) -> bool:
    return node.get("class") == "CONSTANT" and node["literal"]["kind"] == "INTEGER"


def _present(node: Node, *keys: str) -> list[Node]:
    return [node[key] for key in keys if key in node]


def _check_keys(node: Node, kind: str) -> None:
    _expect(kind in KEYS, f"it uses {kind or node.get('type')}")
    if unknown := sorted(set(node) - KEYS[kind]):
        raise NotPlain(f"it uses {unknown[0]} of {kind}")


def _expect(is_plain: bool, reason: str) -> None:
    if not is_plain:
        raise NotPlain(reason)


def _nodes(tree: Any) -> Iterator[Node]:
    """Every object of a tree."""
    if isinstance(tree, Mapping):
        yield tree
    for value in tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ():
        yield from _nodes(value)


def _compact(tree: Any) -> Any:
    """The tree without positions and empty values; a literal keeps its empty text."""
    if isinstance(tree, Mapping):
        values = {key: _compact(value) for key, value in tree.items() if key not in IGNORED}
        return {
            key: value for key, value in values.items() if value not in (None, "", [], {}, False) or key == "cte_map"
        }
    return [_compact(value) for value in tree] if isinstance(tree, list) else tree
