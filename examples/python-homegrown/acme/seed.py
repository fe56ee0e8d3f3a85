"""Makes Acme's database: python -m acme.seed. Prints each organization's API key, which is kept nowhere.

ACME_ADMIN_URL is a role that may create roles, used here only; ACME_DATABASE_URL names the role and password the server
gets.
"""

import argparse
import json
import os
import secrets
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from acme.auth import hash_key
from acme.generate import MONTHS, ORGANIZATIONS, generate

OWNER = "acme_owner"
APP = "acme_app"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", action="append", default=[], metavar="ORGANIZATION=EXTERNAL_ID",
                        help="only note what a system in front calls an organization")  # fmt: skip
    links = [link.split("=", 1) for link in parser.parse_args().link]
    with psycopg.connect(os.environ["ACME_ADMIN_URL"]) as admin:
        if links:
            link(admin, dict(links))
        else:
            print(json.dumps({"api_keys": seed(admin, os.environ["ACME_DATABASE_URL"])}))


def seed(admin: psycopg.Connection, app_url: str) -> dict[str, str]:
    """Makes roles, schema and data; returns a fresh API key for each organization."""
    _make_roles(admin, str(conninfo_to_dict(app_url)["password"]))
    admin.execute(sql.SQL("set role {}").format(sql.Identifier(OWNER)))
    admin.execute(Path(__file__).with_name("schema.sql").read_bytes())
    keys = {}
    for organization, name in ORGANIZATIONS.items():
        admin.execute("insert into organizations (id, name) values (%s, %s)", [organization, name])
        keys[organization] = "acme_" + secrets.token_urlsafe(32)
        admin.execute(
            "insert into api_keys (hash, org, label) values (%s, %s, 'seed')",
            [hash_key(keys[organization]), organization],
        )
        _fill(admin.cursor(), organization)
    admin.execute("reset role")
    admin.commit()
    return keys


def link(admin: psycopg.Connection, external_ids: dict[str, str]) -> None:
    """Notes what a system in front calls each organization."""
    for organization, external_id in external_ids.items():
        changed = admin.execute("update organizations set external_id = %s where id = %s", [external_id, organization])
        if changed.rowcount != 1:
            raise SystemExit(f"there is no organization {organization!r}")
    admin.commit()


def _make_roles(admin: psycopg.Connection, password: str) -> None:
    for role in (OWNER, APP):
        if not admin.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
            admin.execute(sql.SQL("create role {} nosuperuser nobypassrls").format(sql.Identifier(role)))
    admin.execute(sql.SQL("alter role {} login password {}").format(sql.Identifier(APP), sql.Literal(password)))
    admin.execute(sql.SQL("alter role {} set statement_timeout = '5s'").format(sql.Identifier(APP)))
    admin.execute(sql.SQL("grant create, usage on schema public to {}").format(sql.Identifier(OWNER)))
    admin.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(OWNER)))


def _fill(cursor: psycopg.Cursor[Any], organization: str) -> None:
    """Writes the generated data. The policies bind the owner too, so it says for whom it writes."""
    data = generate(organization)
    cursor.execute("select set_config('app.org', %s, true)", [organization])
    cursor.executemany(
        """insert into accounts (account_id, name, industry, country, plan, seats, arr_eur, health)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [(a.account_id, a.name, a.industry, a.country, a.plan, a.seats, a.arr_eur, a.health) for a in data.accounts],
    )
    cursor.executemany(
        "insert into usage (account_id, month, queries) values (%s, %s, %s)",
        [(a.account_id, month, n) for a in data.accounts for month, n in zip(MONTHS, a.queries, strict=True)],
    )
    cursor.executemany(
        "insert into segments (segment_id, name, description) values (%s, %s, %s)",
        [(s.segment_id, s.name, s.description) for s in data.segments],
    )
    cursor.executemany(
        "insert into segment_members (segment_id, account_id) values (%s, %s)",
        [(s.segment_id, account_id) for s in data.segments for account_id in s.account_ids],
    )


if __name__ == "__main__":
    main()
