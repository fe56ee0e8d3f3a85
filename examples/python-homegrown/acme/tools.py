"""The seven tools. Each gets a transaction that has said which organization asks, so none of them filters by it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from acme import jsonschema, query
from acme.auth import Caller
from acme.database import Connection, Database, Row
from acme.query import ToolError

Arguments = dict[str, Any]
Report = Callable[[str], Awaitable[None]]  # tells a client that listens how far a call has come


@dataclass(frozen=True)
class Call:
    """One call under way."""

    connection: Connection
    caller: Caller
    report: Report


Run = Callable[[Call, Arguments], Awaitable[Row]]


@dataclass(frozen=True)
class Tool:
    name: str
    title: str
    description: str
    properties: dict[str, Any]
    required: list[str]
    run: Run
    reads: bool = True
    destructive: bool = False
    open_world: bool = False

    @property
    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": False,
        }

    def describe(self) -> dict[str, Any]:
        """The tool as tools/list shows it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input_schema,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.reads,
                "destructiveHint": self.destructive,
                "idempotentHint": self.name != "route_signal",
                "openWorldHint": self.open_world,
            },
        }


async def call(database: Database, caller: Caller, tool: Tool, arguments: Arguments, report: Report) -> Row:
    """Runs a tool. Raises ToolError with words for the model."""
    if found := jsonschema.problem(tool.input_schema, arguments):
        raise ToolError(found[0].upper() + found[1:] + ".")
    async with database.as_organization(caller.organization, read_only=tool.reads) as connection:
        return await tool.run(Call(connection, caller, report), arguments)


async def _list_datasets(_call: Call, _arguments: Arguments) -> Row:
    return {
        "datasets": [
            {"name": name, "description": dataset.description, "columns": list(dataset.columns)}
            for name, dataset in query.DATASETS.items()
        ]
    }


async def _run_query(call: Call, arguments: Arguments) -> Row:
    rows, total = await query.run(call.connection, arguments)
    return {"rows": rows, "total": total}


async def _search_accounts(call: Call, arguments: Arguments) -> Row:
    cursor = await call.connection.execute(
        """select account_id, name, industry, country, plan, seats, arr_eur, health, count(*) over () as total
           from accounts
           where position(lower(%(text)s) in lower(name || ' ' || industry)) > 0
             and (%(country)s = '' or country = upper(%(country)s)) and (%(plan)s = '' or plan = %(plan)s)
           order by account_id limit %(limit)s""",
        {"text": "", "country": "", "plan": "", "limit": query.DEFAULT_ROWS} | arguments,
    )
    rows = await cursor.fetchall()
    total = rows[0]["total"] if rows else 0
    return {"accounts": [{k: v for k, v in row.items() if k != "total"} for row in rows], "total": total}


async def _account(connection: Connection, account_id: str) -> Row:
    cursor = await connection.execute(
        """select account_id, name, industry, country, plan, seats, arr_eur, health from accounts
           where account_id = %s""",
        [account_id],
    )
    row = await cursor.fetchone()
    if row is None:
        raise ToolError(f"There is no account {account_id!r}; search_accounts finds them.")
    return row


async def _analyze_profile(call: Call, arguments: Arguments) -> Row:
    account = await _account(call.connection, arguments["account_id"])
    await call.report("account read")
    cursor = await call.connection.execute(
        "select queries from usage where account_id = %s order by month", [account["account_id"]]
    )
    queries = [row["queries"] for row in await cursor.fetchall()]
    await call.report("usage read")
    cursor = await call.connection.execute(
        """select s.name from segments s join segment_members m using (org, segment_id) where m.account_id = %s
           order by s.name""",
        [account["account_id"]],
    )
    risk = "high" if account["health"] < 0.45 else "medium" if account["health"] < 0.65 else "low"
    return {
        "account": account,
        "queries_per_month": queries,
        "growth_per_month": round((queries[-1] / queries[0]) ** (1 / (len(queries) - 1)) - 1, 3),
        "churn_risk": risk,
        "segments": [row["name"] for row in await cursor.fetchall()],
    }


async def _route_signal(call: Call, arguments: Arguments) -> Row:
    await _account(call.connection, arguments["account_id"])
    cursor = await call.connection.execute(
        """insert into signals (account_id, kind, channel, note, requested_by)
           values (%(account_id)s, %(kind)s, %(channel)s, %(note)s, %(requested_by)s)
           returning signal_id, account_id, kind, channel, note, requested_by""",
        {"note": "", "requested_by": call.caller.user} | arguments,
    )
    return await cursor.fetchone() or {}


async def _segment(connection: Connection, segment_id: str) -> Row:
    cursor = await connection.execute(
        """select segment_id, name, description, array(select account_id from segment_members m
             where m.segment_id = s.segment_id order by account_id) as account_ids
           from segments s where segment_id = %s""",
        [segment_id],
    )
    row = await cursor.fetchone()
    if row is None:
        raise ToolError(f"There is no segment {segment_id!r}; run_query on segments lists them.")
    return row


async def _update_segment(call: Call, arguments: Arguments) -> Row:
    segment = await _segment(call.connection, arguments["segment_id"])
    if len(arguments) == 1:
        raise ToolError("Nothing to change was given.")
    await call.connection.execute(
        "update segments set name = %(name)s, description = %(description)s where segment_id = %(segment_id)s",
        segment | arguments,
    )
    for account_id in arguments.get("add_account_ids", []):
        await _account(call.connection, account_id)
        await call.connection.execute(
            "insert into segment_members (segment_id, account_id) values (%s, %s) on conflict do nothing",
            [segment["segment_id"], account_id],
        )
    await call.connection.execute(
        "delete from segment_members where segment_id = %s and account_id = any(%s)",
        [segment["segment_id"], arguments.get("remove_account_ids", [])],
    )
    return await _segment(call.connection, segment["segment_id"])


async def _delete_segment(call: Call, arguments: Arguments) -> Row:
    segment = await _segment(call.connection, arguments["segment_id"])
    await call.connection.execute("delete from segments where segment_id = %s", [segment["segment_id"]])
    cursor = await call.connection.execute("select count(*)::int as segments_left from segments")
    left = await cursor.fetchone() or {}
    return {"deleted": segment["name"], "accounts": len(segment["account_ids"])} | left


def _text(description: str, **limits: Any) -> dict[str, Any]:
    return {"type": "string", "description": description} | limits


def _ids(description: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "maxItems": 50, "description": description}


_LIMIT = {"type": "integer", "minimum": 1, "maximum": query.MAX_ROWS, "description": "20 unless said"}
_ACCOUNT = _text("from search_accounts, for example acc_007")
_SEGMENT = _text("for example seg_risk")
_WHERE = {
    "type": "array",
    "description": "all of them must hold",
    "maxItems": 20,
    "items": {
        "type": "object",
        "properties": {
            "column": {"type": "string"},
            "operator": {"type": "string", "enum": [*query.OPERATORS, query.CONTAINS]},
            "value": {"type": ["string", "number"]},
        },
        "required": ["column", "operator", "value"],
        "additionalProperties": False,
    },
}

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "list_datasets",
            "List datasets",
            "Lists the datasets that run_query can read, with their columns.",
            {},
            [],
            _list_datasets,
        ),
        Tool(
            "run_query",
            "Run a query",
            "Reads rows of one dataset, filtered, ordered and limited.",
            {
                "dataset": _text("a name from list_datasets"),
                "where": _WHERE,
                "order_by": _text("a column; with a leading minus, largest first"),
                "limit": _LIMIT,
            },
            ["dataset"],
            _run_query,
        ),
        Tool(
            "search_accounts",
            "Search accounts",
            "Finds customer accounts by name, industry, country or plan.",
            {
                "text": _text("part of the name or industry"),
                "country": _text("ISO 3166 code"),
                "plan": _text("starter, growth or enterprise"),
                "limit": _LIMIT,
            },
            [],
            _search_accounts,
        ),
        Tool(
            "analyze_profile",
            "Analyze a profile",
            "Summarizes how one account is doing: health, growth, risk of leaving.",
            {"account_id": _ACCOUNT},
            ["account_id"],
            _analyze_profile,
        ),
        Tool(
            "route_signal",
            "Route a signal",
            "Sends a signal about an account to a team outside the data platform.",
            {
                "account_id": _ACCOUNT,
                "kind": {"type": "string", "enum": ["churn_risk", "upsell", "support"]},
                "channel": {"type": "string", "enum": ["sales", "success", "support"]},
                "note": _text("for the people who get it"),
            },
            ["account_id", "kind", "channel"],
            _route_signal,
            reads=False,
            open_world=True,
        ),
        Tool(
            "update_segment",
            "Update a segment",
            "Renames a segment or changes which accounts are in it.",
            {
                "segment_id": _SEGMENT,
                "name": _text("new name", minLength=1),
                "description": _text("new description"),
                "add_account_ids": _ids("accounts to add"),
                "remove_account_ids": _ids("accounts to take out"),
            },
            ["segment_id"],
            _update_segment,
            reads=False,
        ),
        Tool(
            "delete_segment",
            "Delete a segment",
            "Deletes a segment for good. Its accounts stay.",
            {"segment_id": _SEGMENT},
            ["segment_id"],
            _delete_segment,
            reads=False,
            destructive=True,
        ),
    )
}
