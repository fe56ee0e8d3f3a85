"""run_query without SQL from outside: names come from the list below, values travel as parameters."""

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from acme.database import Connection, Row


class ToolError(Exception):
    """A mistake the model can correct; its text goes back as the tool's answer."""


@dataclass(frozen=True)
class Dataset:
    """What may be read, by column with its type."""

    description: str
    columns: dict[str, type]


DATASETS = {
    "accounts": Dataset(
        "Every customer account",
        {"account_id": str, "name": str, "industry": str, "country": str, "plan": str, "seats": int, "arr_eur": int,
         "health": float},
    ),
    "usage": Dataset("Queries per account and month", {"account_id": str, "month": str, "queries": int}),
    "segments": Dataset("Named sets of accounts", {"segment_id": str, "name": str, "description": str}),
    "segment_members": Dataset("Which account is in which segment", {"segment_id": str, "account_id": str}),
    "signals": Dataset(
        "Signals that were routed",
        {"signal_id": str, "account_id": str, "kind": str, "channel": str, "note": str, "requested_by": str},
    ),
}  # fmt: skip

OPERATORS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
CONTAINS = "contains"
MAX_ROWS = 200
DEFAULT_ROWS = 20


async def run(connection: Connection, arguments: dict[str, Any]) -> tuple[list[Row], int]:
    """The rows that were asked for, and how many matched before the limit."""
    name = arguments["dataset"]
    dataset = DATASETS.get(name)
    if dataset is None:
        raise ToolError(f"There is no dataset {name!r}; list_datasets names them.")
    conditions = [_condition(dataset, c) for c in arguments.get("where", [])]
    where = sql.SQL(" and ").join([c for c, _ in conditions]) if conditions else sql.SQL("true")
    values = [v for _, v in conditions]
    columns = sql.SQL(", ").join(map(sql.Identifier, dataset.columns))
    table = sql.Identifier(name)
    counted = await connection.execute(
        sql.SQL("select count(*) as total from {} where {}").format(table, where), values
    )
    total = (await counted.fetchone() or {})["total"]
    cursor = await connection.execute(
        sql.SQL("select {} from {} where {} order by {} limit {}").format(
            columns, table, where, _order(dataset, arguments.get("order_by")), sql.Placeholder()
        ),
        [*values, arguments.get("limit", DEFAULT_ROWS)],
    )
    return await cursor.fetchall(), total


def _condition(dataset: Dataset, condition: dict[str, Any]) -> tuple[sql.Composable, Any]:
    column, operator, value = condition["column"], condition["operator"], condition["value"]
    kind = _column(dataset, column)
    if operator == CONTAINS:
        if kind is not str or not isinstance(value, str):
            raise ToolError(f"contains is for texts; {column} or the value is none.")
        return sql.SQL("position(lower({}) in lower({})) > 0").format(sql.Placeholder(), sql.Identifier(column)), value
    if isinstance(value, bool) or isinstance(value, str) != (kind is str):
        raise ToolError(f"{column} is compared with a {'text' if kind is str else 'number'}.")
    return sql.SQL("{} {} {}").format(sql.Identifier(column), sql.SQL(OPERATORS[operator]), sql.Placeholder()), value


def _order(dataset: Dataset, order_by: str | None) -> sql.Composable:
    first = next(iter(dataset.columns))
    if not order_by:
        return sql.Identifier(first)
    column = order_by.removeprefix("-")
    _column(dataset, column)
    direction = sql.SQL("desc") if order_by.startswith("-") else sql.SQL("asc")
    return sql.SQL("{} {}, {}").format(sql.Identifier(column), direction, sql.Identifier(first))


def _column(dataset: Dataset, name: str) -> type:
    if name not in dataset.columns:
        raise ToolError(f"There is no column {name!r}; there are {', '.join(dataset.columns)}.")
    return dataset.columns[name]
