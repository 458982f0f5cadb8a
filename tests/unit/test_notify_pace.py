"""How fast channels are sent to, and how long messages took."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.notifications import Action, Shown
from controlplane.model.rate import Rate, parse_rate
from controlplane.model.severity import Severity
from controlplane.notify.channels import load_channels
from controlplane.notify.latency import Latency, latency
from controlplane.notify.pace import HOUSE, Bucket
from controlplane.notify.thread import Thread
from tests.notify_cases import channel, message


@pytest.mark.parametrize(
    ("text", "number", "seconds", "shown"),
    [
        ("1/s", 1, 1, "1/s"),
        ("120/m", 120, 60, "120/m"),
        (" 10 / 30s ", 10, 30, "10/30s"),
        ("5/h", 5, 3_600, "5/h"),
        ("1/d", 1, 86_400, "1/d"),
        ("999999/1m30s", 999_999, 90, "999999/1m30s"),
    ],
)
def test_rates_are_read_and_written(text: str, number: int, seconds: int, shown: str):
    rate = parse_rate(text)
    assert rate == Rate(number, timedelta(seconds=seconds))
    assert str(rate) == shown
    assert parse_rate(str(rate)) == parse_rate(rate) == rate


@pytest.mark.parametrize(
    "text", ["", "1", "/s", "0/s", "-1/s", "1/0s", "1/2d", "1/year", "1/5", "1.5/s", "1/s/s", 3, None, True]
)
def test_what_is_no_rate_says_how_to_write_one(text: object):
    with pytest.raises(ValueError, match="write a number and a time, such as 1/s, 120/m or 10/30s"):
        parse_rate(text)


class Clock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@given(
    number=st.integers(1, 5),
    per=st.floats(0.1, 100),
    pauses=st.lists(st.floats(0, 30), max_size=40),
    before=st.lists(st.floats(0, 100), max_size=8),
)
def test_no_stretch_of_time_sees_more_than_the_rate(
    number: int, per: float, pauses: list[float], before: list[float]
) -> None:
    clock = Clock()
    rate = Rate(number, timedelta(seconds=per))
    earlier = sorted(before, reverse=True)[-number:]
    bucket = Bucket(rate, [timedelta(seconds=ago) for ago in earlier], clock=clock)
    sent = [clock() - ago for ago in earlier]
    for pause in pauses:
        clock.time += pause
        clock.time += bucket.wait()
        bucket.take()
        sent.append(clock())
    ours = sent[len(earlier) :]
    for first in range(len(sent) - number):
        later = sent[first + number]
        if later in ours:
            assert later - sent[first] >= per * (1 - 1e-6) - 1e-6


def test_a_bucket_is_full_at_first_and_what_is_owed_comes_back_later():
    clock = Clock()
    bucket = Bucket(Rate(3, timedelta(seconds=10)), clock=clock)
    bucket.take(2)
    assert bucket.wait() == 0
    bucket.take(2)
    assert bucket.wait() == 10
    clock.time += 10
    assert bucket.wait() == 0


def test_a_send_of_several_requests_is_paid_for_in_full():
    clock = Clock()
    bucket = Bucket(Rate(1, timedelta(seconds=1)), clock=clock)
    bucket.take(3)  # an edit, a reply in its thread and the end of an earlier page
    assert bucket.wait() == 3
    clock.time += 3
    assert bucket.wait() == 0
    bucket.take()
    assert bucket.wait() == 1


def test_an_edit_at_slack_is_counted_with_its_reply_and_the_pages_that_it_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("URL_BOT", "slackops://bot/xoxb-1-2-planted/C0123456789")
    monkeypatch.setenv("URL_HOOK", "slackops://hooks/T0/B0/planted")
    loaded = load_channels([channel("bot"), channel("hook")]).loaded
    shown = Shown(
        channel="bot",
        dedup_key="d",
        reference="C0123456789/1.0",
        action=Action.TRIGGER,
        severity=Severity.CRITICAL,
        firing=1,
    )
    counts = [
        loaded["bot"].requests(message(), thread) for thread in (Thread(), Thread(shown), Thread(shown, (shown, shown)))
    ]
    assert counts == [1, 2, 4]
    assert loaded["hook"].requests(message(), Thread()) == 1


def test_every_kind_of_channel_has_a_rate_of_the_house():
    assert {kind.value: str(rate) for kind, rate in HOUSE.items()} == {
        "slack": "1/s",
        "pagerduty": "120/m",
        "text": "60/m",
    }


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([2.0], Latency(1, 2.0, 2.0, 2.0)),
        ([1.0, 3.0], Latency(2, 1.0, 3.0, 3.0)),
        ([float(n) for n in range(100, 0, -1)], Latency(100, 50.0, 99.0, 100.0)),
        ([float(n) for n in range(1, 102)], Latency(101, 51.0, 100.0, 101.0)),
    ],
)
def test_quantiles_are_of_the_nearest_rank(seconds: list[float], expected: Latency):
    assert latency(seconds) == expected


def test_nothing_delivered_has_no_latency():
    with pytest.raises(ValueError, match="no latency"):
        latency([])
