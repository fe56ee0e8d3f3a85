"""Lists are filtered in place: what stays, stays as it was."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary._lists import MAX_EVENT, EventFilter, ListFilter, Unfilterable, filtered

TOOLS = frozenset({"tool"})
ALL = frozenset({"tool", "prompt", "content"})


def only(*names: str, kinds: frozenset[str] = ALL) -> ListFilter:
    return ListFilter(kinds, lambda kind, name: () if name in names else None)


def test_what_stays_is_untouched_byte_for_byte() -> None:
    raw = (
        b' {"jsonrpc" :"2.0","id": 1e0,"result":{ "nextCursor":"\\u00e9", "tools":[ {"name":"a","x":1.50E+3 } ,'
        b'{"name":"b"}, {"n\\u0061me":"c","\\ud83d\\ude00":"\xf0\x9f\x98\x80"},null,7]  ,"_meta":{}}} '
    )
    assert filtered(raw, only("a", "c")) == (
        b' {"jsonrpc" :"2.0","id": 1e0,"result":{ "nextCursor":"\\u00e9", "tools":[{"name":"a","x":1.50E+3 },'
        b'{"n\\u0061me":"c","\\ud83d\\ude00":"\xf0\x9f\x98\x80"}]  ,"_meta":{}}} '
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}',
        b'{"tools":[{"name":"b"}]}',
        b'{"result":{"tools":{"name":"b"}}}',
        b'{"result":[{"tools":[{"name":"b"}]}]}',
        b'{"result":{"tools":[{"name":"a"}]}}',
        b'"tools"',
        b"[]",
    ],
)
def test_nothing_else_is_changed(raw: bytes) -> None:
    assert filtered(raw, only("a")) is raw


def test_every_kind_of_list_is_filtered_where_it_is_guarded() -> None:
    raw = json.dumps(
        [
            {"result": {"prompts": [{"name": "a"}, {"name": "b"}]}},
            {"result": {"resources": [{"uri": "a"}, {"uri": "b"}, {"name": "a"}]}},
            {"result": {"resourceTemplates": [{"uriTemplate": "a"}, {"uriTemplate": "b"}]}},
            {"result": {"tools": [{"name": "a"}, {"name": "b"}]}},
        ]
    ).encode()
    got = json.loads(filtered(raw, only("a")))
    assert [next(iter(answer["result"].values())) for answer in got] == [
        [{"name": "a"}],
        [{"uri": "a"}],
        [{"uriTemplate": "a"}],
        [{"name": "a"}],
    ]
    got = json.loads(filtered(raw, only("a", kinds=TOOLS)))
    assert [len(next(iter(answer["result"].values()))) for answer in got] == [2, 3, 2, 1]


@pytest.mark.parametrize(
    ("result", "scope"),
    [
        ('{"tools":[],"ttlMs":5}', "private"),
        ('{"tools":[],"cacheScope":"public","ttlMs":5}', "private"),
        ('{"tools":[]}', None),
    ],
)
def test_a_filtered_list_is_kept_for_its_user_only(result: str, scope: str | None) -> None:
    got = json.loads(filtered(f'{{"result":{result}}}'.encode(), only()))
    assert got["result"].get("cacheScope") == scope


def test_a_host_that_reads_it_is_told_what_a_tool_needs() -> None:
    rule = ListFilter(TOOLS, lambda kind, name: ("data:read",) if name == "a" else None)
    tool = b'{"name":"a","securitySchemes":[{"type":"noauth"}],"_meta":{"x":1.0,"securitySchemes":2}}'
    raw = b'{"result":{"tools":[' + tool + b"]}}"
    schemes = [{"type": "oauth2", "scopes": ["data:read"]}]
    assert json.loads(filtered(raw, rule))["result"]["tools"] == [
        {"name": "a", "securitySchemes": schemes, "_meta": {"securitySchemes": schemes, "x": 1.0}}
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"result":{"tools":[{"name":"b"}]},"result":{}}',
        b'{"result":{"tools":[{"name":"a","name":"b"}]}}',
        b'{"result":{"tools":[{"name":"b\xff"}]}}',
        b'{"result":{"tools":' + b"[" * 600 + b"]" * 600 + b"}}",
        b"<html>",
    ],
)
def test_what_cannot_be_read_is_withheld(raw: bytes) -> None:
    with pytest.raises(Unfilterable):
        filtered(raw, only("a"))


names = st.sampled_from(["a", "b", "c", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just("tools"), inner, max_size=3)
    ),
    max_leaves=8,
)
tools = st.lists(st.fixed_dictionaries({"name": names, "x": values}), max_size=5)


@given(tools, values, st.sampled_from([None, 1]), st.booleans())
def test_only_denied_tools_are_missing(listed: list[Any], other: Any, indent: int | None, ascii_only: bool) -> None:
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"other": other, "tools": listed}}
    raw = json.dumps(answer, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        got = json.loads(filtered(raw, only("a", "b")))
    except Unfilterable:
        with pytest.raises(UnicodeDecodeError):  # only a lone surrogate, written out, cannot be read
            raw.decode()
        return
    answer["result"]["tools"] = [tool for tool in listed if tool["name"] in ("a", "b")]  # type: ignore[index]
    assert got == answer


LIST = '{"result":{"tools":[{"name":"a"},{"name":"b"}]}}'
FILTERED = '{"result":{"tools":[{"name":"a"}]}}'


@pytest.mark.parametrize(
    ("stream", "want"),
    [
        (f"data: {LIST}\n\n", f"data: {FILTERED}\n\n"),
        (f"event: message\r\nid: 7\r\ndata:{LIST}\r\n\r\n", f"event: message\nid: 7\ndata: {FILTERED}\n\n"),
        (f"data: {LIST}\r\r", f"data: {FILTERED}\n\n"),
        (": keep alive\n\ndata: hello\n\n", ": keep alive\n\ndata: hello\n\n"),
        ('data: {"tools"\n\n', None),
        (f"data: {LIST[:20]}\ndata: {LIST[20:]}\n\n", f"data: {FILTERED}\n\n"),
        (f"data: {LIST}", f"data: {FILTERED}\n\n"),
        (f"\ufeffdata: {LIST}\n\n", f"data: {FILTERED}\n\n"),
        (LIST.replace("tools", "\\u0074ools").join(["data: ", "\n\n"]), f"data: {FILTERED}\n\n"),
    ],
)
def test_events_are_filtered_however_they_arrive(stream: str, want: str | None) -> None:
    raw = stream.encode()
    for seed in range(20):
        chance = random.Random(seed)
        cuts = sorted(chance.randrange(len(raw) + 1) for _ in range(chance.randrange(6)))
        chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        events = EventFilter(only("a"))
        try:
            got = b"".join([*map(events.feed, chunks), events.end()]).decode()
        except Unfilterable:
            assert want is None
            continue
        assert want is not None
        assert got.replace("\\u0074", "t") == want


def test_events_go_on_as_soon_as_they_are_complete() -> None:
    events = EventFilter(only())
    assert events.feed(b": ping\n") == b": ping\n"
    assert events.feed(b"\ndata: x\n") == b"\n"
    assert events.feed(b"\r") == b"data: x\n\r"
    assert events.feed(b"\n") == b"\n"
    events.feed(b"x" * MAX_EVENT)
    with pytest.raises(Unfilterable, match="too large"):
        events.feed(b"x")
