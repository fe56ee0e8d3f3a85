"""The inspection of bodies, held to the standard library's parser and to what it says itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary._inspect import Refusal, inspect
from ostiary._json import DEPTH, JSONError, parse

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def plain(value: Any) -> Any:
    """Return what the standard library would have read."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return json.loads(value) if type(value) is not str and isinstance(value, str) else value


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_everything_sound_is_read_as_the_standard_library_does(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    try:
        raw = text.encode()
    except UnicodeEncodeError:  # a lone surrogate cannot be written in UTF-8
        return
    try:
        got, _ = parse(raw, 64)
    except JSONError:
        assert "\\ud" in text.lower()  # a lone surrogate in a key
        return
    assert plain(got) == json.loads(text)


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0dtrueflsn1-.eE \n', max_size=40).map(str.encode))
@example(b'{"a":1,"a":2}')
@example(b'{"a":1,"\\u0061":2}')
@example(b"\xef\xbb\xbf1")
@example(b"1 2")
@example(b"NaN")
@example(b"-Infinity")
@example(b"\xf0\x80\x80\x80")
@example(b'"\xed\xa0\x80"')
@example(b'{"\\udc00":1}')
@example(b'"\\u12"')
@example(b'"\x00"')
@example(b"01")
@example(b"1.")
@example(b"+1")
@example(b"\xc2\xa01")
@example(b"\xd9\xa1")
def test_nothing_is_accepted_that_others_refuse_or_read_differently(raw: bytes) -> None:
    try:
        value, _ = parse(raw, 64)
    except JSONError:
        return
    pairs: list[Any] = []

    def never(constant: str) -> None:
        raise AssertionError(constant)

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(members)
        return dict(members)

    assert plain(value) == json.loads(raw.decode("utf-8"), parse_constant=never, object_pairs_hook=once)
    for members in pairs:
        assert len({key for key, _ in members}) == len(members)
        for key, _ in members:
            key.encode()


@pytest.mark.parametrize(("levels", "deep"), [(127, False), (128, False), (129, True), (5000, True), (500_000, True)])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded(levels: int, deep: bool, opening: bytes, closing: bytes) -> None:
    raw = opening * levels + b"1" + closing * levels
    if deep:
        with pytest.raises(JSONError, match=DEPTH):
            parse(raw, 128)
    else:
        parse(raw, 128)
    wide = b"[" + b",".join([b"[[]]"] * 1000) + b"]"
    parse(wide, 3)


@pytest.mark.parametrize("number", ["1", "-0", "1e400", "1.0", "9" * 6000, "0.1E-7"])
def test_ids_are_answered_as_they_stand(number: str) -> None:
    body = inspect(f'{{"jsonrpc":"2.0","id":{number},"method":"ping"}}'.encode())
    assert body.id == number


@pytest.mark.parametrize(
    ("method", "params", "targets"),
    [
        ("tools/call", {"name": "query"}, (("tool", "query"),)),
        ("prompts/get", {"name": "p", "NAM": 1}, (("prompt", "p"),)),
        ("resources/read", {"uri": "acme://x"}, (("content", "acme://x"),)),
        ("resources/subscribe", {"uri": "acme://x"}, (("content", "acme://x"),)),
        ("resources/unsubscribe", {"uri": "acme://x"}, ()),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}}, (("prompt", "p"),)),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "acme://{x}"}}, (("content", "acme://{x}"),)),
        ("completion/complete", {}, ()),
        (
            "subscriptions/listen",
            {"notifications": {"resourceSubscriptions": ["a:b", "c:d"]}},
            (("content", "a:b"), ("content", "c:d")),
        ),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, ()),
        ("tools/list", {}, ()),
        ("vendor/thing", {"name": "query"}, ()),
    ],
)
def test_what_a_message_is_about(method: str, params: dict[str, Any], targets: tuple[tuple[str, str], ...]) -> None:
    raw = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    assert inspect(raw).messages[0].targets == targets


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"nAme": "query", "name": "query"}),
        ("tools/call", {"name": ["query"]}),
        ("resources/read", {"uri": ""}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "uri": "p"}}),
        ("completion/complete", {"ref": {"type": "ref/other", "name": "p"}}),
        ("completion/complete", {"Ref": {}}),
        ("completion/complete", {"ref": []}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": "a:b"}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": [1]}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": [""]}}),
        ("subscriptions/listen", {"notifications": {"resourcesubscriptions": []}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["a:b"] * 101}}),
    ],
)
def test_what_a_message_is_about_is_never_guessed(method: str, params: dict[str, Any]) -> None:
    raw = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    with pytest.raises(Refusal):
        inspect(raw)


@given(st.binary(max_size=200) | values.map(lambda v: json.dumps(v).encode()))
def test_any_body_is_read_or_refused(raw: bytes) -> None:
    try:
        body = inspect(raw)
    except Refusal:
        return
    assert body.messages
