"""Text that somebody put into labels, summaries and names reaches no terminal in a form that does something."""

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from controlplane.cli.output import console, pick, print_json, table, tell
from controlplane.eventlog.log import EventLog
from controlplane.model.alerts import Acknowledgement, Reading
from controlplane.model.payloads import (
    AdviceFailed,
    AlertAcknowledged,
    AlertFired,
    RecommendationProposed,
    SourceFailed,
)
from controlplane.model.recommendations import (
    CostLine,
    Evidence,
    PlanStep,
    PriceSource,
    Rejected,
    Stage,
    Survival,
    total,
)
from controlplane.model.time import to_ms
from tests.cli.conftest import Run
from tests.drafts import HOSTILE, START, draft, facts, recommendation

DANGEROUS = [chr(c) for c in (*range(32), *range(0x7F, 0xA0), 0xAD, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
HARMLESS = {"\n"}
MARKUP = "[red]red[/red] [link=http://x]x[/link] :boom: {value} %s"


def harmless(text: str) -> bool:
    return not any(char in text for char in DANGEROUS if char not in HARMLESS)


TEXTS = [*HOSTILE, MARKUP, *("a" + char + "b" for char in DANGEROUS)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("hostile") / "home"
    return folder, filled(folder, TEXTS)


@pytest.fixture
def nasty(home: Path, prepared: tuple[Path, list[str]]) -> list[str]:
    """A log in which everything that comes from outside is hostile; the ids of its alerts."""
    shutil.copytree(prepared[0], home)
    return prepared[1]


def filled(home: Path, texts: list[str]) -> list[str]:
    home.mkdir()
    log = EventLog.open(f"sqlite:///{home / 'events.db'}")
    drafts, readings = [], []
    episodes = {}
    for number, text in enumerate(texts):
        name = f"{number:016x}"
        fact = facts(name, labels={"host": text, text: "x"}, summary=text, title=text[:300], value=float(number))
        drafts.append(draft(AlertFired(facts=fact), stream=f"alert:{name}", actor=text[:200]))
        episodes[name] = str(drafts[-1].id)
        drafts.append(draft(SourceFailed(source=f"s{number}", error=text, remedy=text), stream=f"source:s{number}"))
        readings.append(Reading.of(name, START, float("inf"), [(to_ms(START), float("-inf"))]))
    for number, text in enumerate(texts):
        name = f"{number:016x}"
        plain = recommendation(name)
        source = PriceSource(document=text, section=text, date="2026-01-01")
        line = CostLine(
            item=text, price=text, quantity=Decimal(1), unit="USD", per_month=Decimal(1), note=text, source=source
        )
        proposal = plain.proposal.model_copy(
            update={
                "title": text,
                "target": text,
                "from_": text,
                "to": text,
                "why": text,
                "gain": text,
                "inputs": {text: text},
                "stages": (Stage(name=text, value=1.0, limit=text, reason=text),),
                "cost": total((line,), text),
                "survives": (Survival(loss=text, ok=None, reason=text),),
                "commands": (text,),
                "plan": (PlanStep(do=text, before=(text,), commands=(text,)),) if number % 2 else (),
                "revert": (text,),
                "evidence": (Evidence(signal=text, labels={"a": text}, value=1, unit="1", at=START, reference=text),),
                "rejected": (Rejected(option=text, reason=text),),
            }
        )
        hostile = plain.model_copy(update={"proposal": proposal, "reason": text, "decided_by": text})
        given = Acknowledgement(actor=text, at=START, note=text)
        drafts.append(draft(RecommendationProposed(recommendation=hostile), stream=f"recommendation:{name}"))
        failed = AdviceFailed(rule=f"r{number}", alert=name, error=text)
        drafts.append(draft(failed, stream=f"advice:{name}"))
        acknowledged = AlertAcknowledged(alert=name, episode=episodes[name], acknowledgement=given)
        drafts.append(draft(acknowledged, stream=f"alert:{name}"))
    log.append(drafts, recorded_at=START, readings=readings)
    log.close()
    return [f"{number:016x}" for number in range(len(texts))]


@pytest.mark.parametrize(
    "command",
    [
        "alerts",
        "alerts --json",
        "recommendations --all",
        "recommendations --all --json",
        "events list --limit 1000",
        "events list --json",
        "events show 1",
        "events export",
    ],
)
def test_commands_print_nothing_that_acts(run: Run, nasty: list[str], command: str) -> None:
    shown = run(*command.split())
    assert shown.code == 0
    assert harmless(shown.out)
    assert harmless(shown.err)
    assert "red" in shown.out, "what is hostile is shown, not hidden"
    if "--json" in command:
        assert json.loads(shown.out)
    elif not command.startswith(("events export", "events show")):
        assert MARKUP.split()[0] in shown.out, "markup is text"


def test_sql_prints_nothing_that_acts(run: Run, home: Path) -> None:
    filled(home, [text for text in TEXTS if "\ud800" not in text])
    for options in ((), ("--json",)):
        shown = run("sql", 'SELECT *, 1 AS "\x1b[31m\u202ered" FROM events', *options)
        assert shown.code == 0
        assert harmless(shown.out + shown.err)
        assert "red" in shown.out


def test_a_record_prints_nothing_that_acts(run: Run, nasty: list[str]) -> None:
    for name in nasty:
        shown = run("recommendations", "show", name)
        assert shown.code == 0
        assert harmless(shown.out), name


def test_refusals_print_nothing_that_acts(run: Run, nasty: list[str]) -> None:
    for name in nasty:
        shown = run("ack", name)
        assert shown.code == 1
        assert harmless(shown.err)
    for text in HOSTILE:
        if "\0" in text or "\ud800" in text:
            continue  # no shell can pass these
        for command in (("ack", text), ("recommendations", "show", text), ("events", "show", text)):
            shown = run(*command)
            assert shown.code == 1
            assert harmless(shown.err), command


@pytest.mark.parametrize("text", [*HOSTILE, MARKUP])
def test_json_gives_back_what_went_in(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_json({text: [text, {"a": text}]})
    out = capsys.readouterr().out
    assert harmless(out)
    assert json.loads(out) == {text: [text, {"a": text}]}


def test_json_has_no_numbers_that_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), float("inf"), -float("inf"), 1.5], "b": (1, None, True)})
    assert json.loads(capsys.readouterr().out) == {"a": ["NaN", "Infinity", "-Infinity", 1.5], "b": [1, None, True]}


def test_tables_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for text in [*HOSTILE, MARKUP]:
        console().print(table(text, (text, "b"), [(text, [text, text])]))
        tell(text)
    assert harmless(capsys.readouterr().out)


@pytest.mark.parametrize("columns", ["abc", "0", "5", "-3", "99999999999", "", "60"])
def test_any_width(run: Run, nasty: list[str], monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = run("alerts")
    assert shown.code == 0
    assert harmless(shown.out)


def test_pick() -> None:
    import click

    assert pick("abcd", ["abcdef", "xyz"], "thing", "look") == "abcdef"
    assert pick("xyz", ["xyz", "xyzz12"], "thing", "look") == "xyz", "the whole id wins"
    for given in ("", "abc", "abcd", "nope", "abcdefg"):
        with pytest.raises(click.ClickException):
            pick(given, ["abcd1", "abcd2"], "thing", "look")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--for", "9999999d"), 2, "9,999,999 days are too long"),
        (("--for", "999999999d"), 2, "999,999,999 days are too long"),
        (("--for", "9999999999d"), 2, "'9999999999d' is too long"),
        (("--for", "2h", "--start", "9999-01-01T00:00:00Z"), 2, "is too far away"),
        (("--for", "366d", "--start", "9998-12-31T23:59:59Z"), 2, "366 days are too long"),
        (("--for", "365d", "--start", "9998-12-31T23:59:59Z"), 0, ""),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_silence_ends_within_the_calendar(
    run: Run, home: Path, arguments: tuple[str, ...], dry: tuple[str, ...], code: int, says: str
) -> None:
    shown = run("silence", "add", "zone=z", "--reason", "x", *arguments, *dry)
    assert (shown.code, "" if code else shown.err) == (code, "")
    assert says in shown.err


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("1969-12-31T23:59:59Z", 2),
        ("1970-01-01T00:00:00+00:01", 2),
        ("1970-01-01T00:00:00Z", 0),
        ("9998-12-31T23:59:59Z", 0),
        ("9998-12-31T23:59:59-00:01", 2),
        ("0001-01-01T00:00:00Z", 2),
        ("9999-01-01T00:00:00", 2),
    ],
)
@pytest.mark.parametrize("command", ["oncall", "digest"])
def test_times_at_the_ends_of_the_calendar(run: Run, home: Path, command: str, time: str, code: int) -> None:
    settings = "home: home\nnotify:\n  people: {mira: {channels: [a]}}\n  channels: [{name: a, url: {env: NONE}}]\n"
    rota = "  schedules: {first: {rotation: [mira], start: 2026-01-05T09:00, every: 1w, location: Europe/Berlin}}\n"
    (home.parent / "controlplane.yaml").write_text(settings + rota)
    shown = run(command, "--at", time)
    assert shown.code == code or (code == 0 and "NOBODY" in shown.out)
    assert ("is too far away" in shown.err) == (code == 2)
