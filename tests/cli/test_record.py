"""What `recommendations show` and `alerts` tell: the plan, years, what is unknown, and why there is no advice."""

from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.cli.output import console
from controlplane.cli.record import print_record
from controlplane.costs import free_line, total
from controlplane.eventlog.log import EventLog
from controlplane.model.payloads import AdviceFailed, AlertFired, AlertResolved, RecommendationProposed
from controlplane.model.recommendations import CostLine, PlanStep, Recommendation
from tests.advice_cases import PRICES
from tests.cli.conftest import Run
from tests.drafts import START, draft, facts, recommendation

ALERT = "a" * 16


def shown(change: Recommendation, capsys: pytest.CaptureFixture[str]) -> str:
    print_record(console(), change)
    return capsys.readouterr().out


def changed(**update: object) -> Recommendation:
    plain = recommendation("r" * 16)
    return plain.model_copy(update={"proposal": plain.proposal.model_copy(update=update)})


def test_the_plan_in_order_with_its_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    plan = (
        PlanStep(do="Look", before=("nothing else fires",)),
        PlanStep(do="Change", before=("copies are in sync", "it is night"), commands=("one --a=b", "two")),
    )
    out = shown(changed(plan=plan, commands=("one --a=b", "two")), capsys)
    assert (
        "Plan: in this order, and stop where something isn't so\n"
        "  1. Look\n"
        "     before: nothing else fires\n"
        "  2. Change\n"
        "     before: copies are in sync\n"
        "     before: it is night\n"
        "       one --a=b\n"
        "       two\n"
    ) in out
    assert "\nCommands\n" not in out
    assert "\nCommands\n" in shown(changed(plan=(), commands=("one",)), capsys)


def line(amount: str, quantity: int) -> CostLine:
    return PRICES.line("secret" if amount == "?" else "node", quantity, item=f"{amount} {quantity}")


@pytest.mark.parametrize(
    ("lines", "month", "year", "back"),
    [
        (("node", 4), "$5,886.72", "$70,640.64 on demand, $35,320.32 with reservations", "never"),
        (("node", -4), "−$5,886.72", "−$70,640.64 on demand, −$35,320.32 with reservations", "at once"),
        (("?", 1), "unknown", "unknown on demand, unknown with reservations", "can't be told"),
    ],
)
def test_sums_of_a_month_and_a_year(
    lines: tuple[str, int], month: str, year: str, back: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(changed(cost=total((line(*lines),), "it stays")), capsys)
    assert f"Per year       {year}" in out
    (row,) = [text for text in out.splitlines() if text.strip().startswith("Total")]
    assert month in row
    assert f"Pays back      {back}" in out
    assert "Doing nothing: it stays" in out


def test_an_unknown_price_makes_the_total_a_lower_bound(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(changed(cost=total((line("node", 4), line("?", 1), free_line("work")), "it stays")), capsys)
    assert "at least" in next(text for text in out.splitlines() if text.strip().startswith("Total"))
    assert "Per year       at least $70,640.64 on demand, at least $35,320.32 with reservations" in out
    assert "Unknown        the price of ? 1" in out


@pytest.fixture
def log(home: Path) -> EventLog:
    home.mkdir()
    return EventLog.open(f"sqlite:///{home / 'events.db'}")


def test_why_a_firing_alert_has_no_advice(run: Run, log: EventLog) -> None:
    fact = facts(ALERT, title="Disk is full")
    fired = draft(AlertFired(facts=fact), stream=f"alert:{ALERT}")
    why = AdviceFailed(rule="shop-growth", alert=ALERT, error="too little history of system.filesystem.usage")
    failed = draft(why, stream="recommendation:x", occurred_at=START + timedelta(minutes=1))
    log.append([fired, failed], recorded_at=START)
    told = f"no advice for {ALERT} (Disk is full) by shop-growth: too little history of system.filesystem.usage"
    assert told in run("alerts").out
    (alert,) = run("alerts", "--json").json
    assert alert["no_advice"] == {"shop-growth": "too little history of system.filesystem.usage"}
    assert alert["recommendations"] == []
    made = recommendation("r" * 16).model_copy(update={"alert": ALERT, "rule": "shop-growth"})
    later = START + timedelta(minutes=5)
    log.append(
        [draft(RecommendationProposed(recommendation=made), stream="recommendation:r", occurred_at=later)],
        recorded_at=later,
    )
    assert "no advice" not in run("alerts").out
    (alert,) = run("alerts", "--json").json
    assert (alert["no_advice"], alert["recommendations"]) == ({}, ["r" * 16])
    ended = AlertResolved(facts=fact, fired_at=START, reason="condition")
    log.append([draft(ended, stream=f"alert:{ALERT}", occurred_at=later)], recorded_at=later)
    assert run("alerts", "--json").json == []
    log.close()
