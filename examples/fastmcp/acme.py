"""Four of Acme Data's tools on FastMCP, over generated data."""

from collections.abc import Callable
from typing import Any, Literal

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
SENDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)
DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


class Account(BaseModel):
    account_id: str
    name: str
    country: str
    health: float


class Signal(BaseModel):
    signal_id: str
    account_id: str
    kind: str
    requested_by: str


ACCOUNTS = {
    account.account_id: account
    for account in (
        Account(
            account_id=f"acc_{number:03d}",
            name=f"{('Copper', 'Juniper', 'Quarry', 'Solace')[number % 4]} {('Foods', 'Energy', 'Health')[number % 3]}",
            country=("DE", "FR", "AT", "NL", "SE")[number % 5],
            health=round(0.2 + number * 37 % 80 / 100, 2),
        )
        for number in range(1, 25)
    )
}


def build(who: Callable[[], str], **options: Any) -> FastMCP:
    """A server with segments and signals of its own. who says which user calls; options are FastMCP's."""
    mcp: FastMCP = FastMCP("Acme Data", **options)
    segments = {"seg_risk": "At risk", "seg_dach": "DACH"}
    signals: list[Signal] = []

    @mcp.tool(annotations=READS)
    def search_accounts(text: str = "", country: str = "") -> list[Account]:
        """Finds customer accounts by name or country."""
        return [a for a in ACCOUNTS.values() if text.lower() in a.name.lower() and country in ("", a.country)]

    @mcp.tool(annotations=READS)
    def analyze_profile(account_id: str) -> dict[str, str]:
        """Summarizes how one account is doing."""
        account = _account(account_id)
        return {"name": account.name, "churn_risk": "high" if account.health < 0.45 else "low"}

    @mcp.tool(annotations=SENDS)
    def route_signal(account_id: str, kind: Literal["churn_risk", "upsell", "support"]) -> Signal:
        """Sends a signal about an account to a team outside the data platform."""
        signal = Signal(
            signal_id=f"sig_{len(signals) + 1:04d}",
            account_id=_account(account_id).account_id,
            kind=kind,
            requested_by=who(),
        )
        signals.append(signal)
        return signal

    @mcp.tool(annotations=DESTROYS)
    def delete_segment(segment_id: str) -> str:
        """Deletes a segment for good."""
        if segment_id not in segments:
            raise ToolError(f"There is no segment {segment_id!r}.")
        return f"Deleted {segments.pop(segment_id)}"

    return mcp


def _account(account_id: str) -> Account:
    if account_id not in ACCOUNTS:
        raise ToolError(f"There is no account {account_id!r}; search_accounts finds them.")
    return ACCOUNTS[account_id]
