"""The official Python client reads what the examples say, in both eras."""

import asyncio

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp import MCPError

from .conftest import Protected


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
def test_the_official_client_lists_calls_and_is_refused(protected: Protected, mode: str) -> None:
    async def story() -> None:
        async with Client(protected.url, auth=protected.token("profiles:read"), mode=mode) as client:
            assert sorted(tool.name for tool in await client.list_tools()) == ["analyze_profile", "search_accounts"]
            found = await client.call_tool("analyze_profile", {"account_id": "acc_002"})
            assert "churn_risk" in str(found.content)
            with pytest.raises((MCPError, ToolError), match="segments:delete"):
                await client.call_tool("delete_segment", {"segment_id": "seg_dach"})
            assert len(await client.list_tools()) == 2

    asyncio.run(story())
