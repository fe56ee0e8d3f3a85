"""The way to Postgres: every query runs in a transaction that has said which organization asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

Row = dict[str, Any]
Connection = AsyncConnection[Row]

_CAN_ESCAPE = """
select rolsuper or rolbypassrls or pg_has_role(rolname, (select tableowner from pg_tables
  where schemaname = 'public' and tablename = 'accounts'), 'member') as escapes
from pg_roles where rolname = current_user
"""


class Database:
    """A pool of connections as acme_app."""

    def __init__(self, url: str) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url, min_size=1, max_size=8, timeout=10, open=False, kwargs={"row_factory": dict_row, "autocommit": True}
        )

    async def open(self) -> None:
        """Connects. Raises PermissionError for a role that row-level security would not bind."""
        await self._pool.open(wait=True)
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_CAN_ESCAPE)).fetchone()
        if row is None or row["escapes"]:
            await self.close()
            raise PermissionError("the database role is not bound by row-level security; connect as acme_app")

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def as_organization(self, organization: str, *, read_only: bool) -> AsyncIterator[Connection]:
        """A transaction in which only this organization's rows exist."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("select set_config('app.org', %s, true)", [organization])
            if read_only:
                await connection.execute("set transaction read only")
            yield connection

    async def organization_by_key(self, key_hash: bytes) -> str | None:
        return await self._organization("select organization_by_key(%s) as id", key_hash)

    async def organization_by_external_id(self, external_id: str) -> str | None:
        return await self._organization("select organization_by_external_id(%s) as id", external_id)

    async def _organization(self, question: str, value: str | bytes) -> str | None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(question.encode(), [value])).fetchone()
        return row["id"] if row else None
