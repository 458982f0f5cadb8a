"""Signatures of PagerDuty and Slack: right, wrong, missing, rotated, old, of another body."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.receive import signatures
from tests.receive_cases import digest

SECRET = "s3cret-é"
BODY = '{"event": {"data": {"title": "日本語 😀"}}}'.encode()
GOOD = f"v1={digest(SECRET, BODY)}"
OTHER = f"v1={digest('another', BODY)}"
NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ([GOOD], True),
        ([f"{OTHER},{GOOD}"], True),
        ([f"{GOOD},{OTHER}"], True),
        ([f"{OTHER} , {GOOD} "], True),
        ([OTHER, GOOD], True),
        ([OTHER], False),
        ([f"{OTHER},{OTHER}"], False),
        ([], False),
        ([""], False),
        (["v1="], False),
        (["v1"], False),
        ([GOOD[3:]], False),
        ([f"v0={GOOD[3:]}"], False),
        ([f"v2={GOOD[3:]}"], False),
        ([GOOD[:-1]], False),
        ([GOOD + "0"], False),
        (["v1=zzzz" + GOOD[7:]], False),
        (["v1=é" + GOOD[4:]], False),
        (["v1=" + "٠" * 64], False),
        (["v1=" + "\ud800" * 64], False),
        ([",".join([OTHER] * 19 + [GOOD])], True),
        ([",".join([OTHER] * 20 + [GOOD])], False),
        (["," * 65_000], False),
    ],
)
def test_pagerduty(headers: list[str], right: bool) -> None:
    assert signatures.pagerduty(SECRET, headers, BODY) is right


def test_another_body_or_secret() -> None:
    assert not signatures.pagerduty(SECRET, [GOOD], BODY + b" ")
    assert not signatures.pagerduty(SECRET, [GOOD], b"")
    assert not signatures.pagerduty(SECRET + "x", [GOOD], BODY)


def test_the_documented_form() -> None:
    """Known answers, so that both sides of the test can't be wrong alike (RFC 4231, test case 2)."""
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signatures.pagerduty("Jefe", [f"v1={known}"], b"what do ya want for nothing?")
    # The example of Slack's documentation, with its published secret.
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert signatures.slack(
        "8f742231b10e8888abcd99yyyzzz85a5",
        ["1531420618"],
        ["v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"],
        body,
        datetime.fromtimestamp(1_531_420_618, UTC),
    )


@pytest.mark.parametrize(
    ("age", "right"),
    [(0, True), (1, True), (300, True), (301, False), (86_400, False), (-300, True), (-301, False)],
)
def test_an_old_request_of_slack(age: int, right: bool) -> None:
    stamp = str(int(NOW.timestamp()))
    good = f"v0={digest(SECRET, f'v0:{stamp}:'.encode() + BODY)}"
    assert signatures.slack(SECRET, [stamp], [good], BODY, NOW + timedelta(seconds=age)) is right


STAMP = str(int(NOW.timestamp()))


def signed(stamp: str) -> str:
    return f"v0={digest(SECRET, f'v0:{stamp}:'.encode() + BODY)}"


@pytest.mark.parametrize(
    ("stamps", "given"),
    [
        ([], [signed(STAMP)]),
        ([STAMP], []),
        ([STAMP, STAMP], [signed(STAMP)]),
        ([STAMP], [signed(STAMP), signed(STAMP)]),
        ([STAMP], [signed(str(int(STAMP) + 1))]),
        ([str(int(STAMP) + 1)], [signed(STAMP)]),
        ([STAMP], [signed(STAMP).replace("v0=", "v1=")]),
        ([STAMP], [signed(STAMP)[3:]]),
        ([STAMP], ["é"]),
        *(([stamp], [signed(stamp)]) for stamp in ("", " ", f"{STAMP}.0", f"+{STAMP}", f" {STAMP}", "1e9", "9" * 400)),
        (["-1"], [signed("-1")]),
    ],
)
def test_what_slack_does_not_send(stamps: list[str], given: list[str]) -> None:
    assert not signatures.slack(SECRET, stamps, given, BODY, NOW)


@given(body=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_is_of_one_body(body: bytes, other: bytes) -> None:
    stamp = f"v0={digest(SECRET, f'v0:{STAMP}:'.encode() + body)}"
    assert signatures.pagerduty(SECRET, [f"v1={digest(SECRET, body)}"], other) is (body == other)
    assert signatures.slack(SECRET, [STAMP], [stamp], other, NOW) is (body == other)
