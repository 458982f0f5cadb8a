"""Commands without settings, with broken ones, and where settings may be named."""

import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from controlplane import bootstrap
from controlplane.documents import parse_document, validate
from controlplane.model.matchers import Matcher
from controlplane.model.routes import Route, Tree
from controlplane.settings import Settings
from tests.cli.conftest import Run

TEMPLATE = (resources.files("controlplane.cli") / "controlplane.yaml").read_text(encoding="utf-8")

READERS = (
    "alerts",
    "ack x",
    "unack x",
    "recommendations",
    "recommendations show x",
    "events list",
    "events show 1",
    "events export",
    "events verify",
    "events rebuild",
    "deliver",
    "maintain",
    "sql SELECT",
)
NEED_SETTINGS = (*READERS, "tick", "up")


@pytest.mark.parametrize("command", NEED_SETTINGS)
def test_without_settings_nothing_is_guessed_and_nothing_created(run: Run, here: Path, command: str) -> None:
    shown = run(*command.split())
    assert (shown.code, shown.out) == (2, "")
    assert "there is no configuration" in shown.err
    assert "controlplane init" in shown.err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("alerts", "No active alerts."),
        ("alerts --pending", "No active alerts."),
        ("recommendations", "No open recommendations."),
        ("events list", "No events."),
        ("events list --after 5", "No such events."),
        ("events export", ""),
        ("events verify", "0 events, the hash chain holds"),
        ("events rebuild alerts", "rebuilt alerts from 0 events"),
        ("deliver", "0 messages delivered"),
        ("maintain", "0 events mirrored"),
    ],
)
def test_an_empty_home_is_fine(run: Run, home: Path, command: str, says: str) -> None:
    shown = run(*command.split())
    assert shown.code == 0
    assert says in shown.out
    assert "Traceback" not in shown.err
    assert ("no tick yet" in shown.err) == command.startswith(("alerts", "recommendations"))


@pytest.mark.parametrize(
    ("command", "document"),
    [
        ("alerts", []),
        ("recommendations", []),
        ("events list", []),
        ("events verify", {"checked": 0, "ok": True, "position": None, "problem": ""}),
        ("events rebuild tick", {"rebuilt": ["tick"], "events": 0}),
    ],
)
def test_an_empty_home_as_json(run: Run, home: Path, command: str, document: Any) -> None:
    assert run(*command.split(), "--json").json == document


@pytest.mark.parametrize("command", ["ack nope", "unack nope", "recommendations show nope", "events show 1"])
def test_what_is_not_there_is_a_finding(run: Run, home: Path, command: str) -> None:
    shown = run(*command.split())
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("error: ")


BROKEN = [
    ("steps: 15s", "1:1 (steps): unknown key 'steps'", "Did you mean 'step'?"),
    ("step: 15", "1:1 (step): 15 is not a duration", "such as 90s"),
    ("step: 7s", "1:1 (step): step is between 1s and 1h and divides a day", "such as 15s"),
    ("platforms: catalyst", "1:1 (platforms): a list is expected here", "Write [a, b]"),
    ("notify: yes", "1:1 (notify): keys with values are expected here", "Write one `key: value` a line"),
    ("[a, b]", "1:1: keys with values are expected here", "Write one"),
    (
        "sources:\n- {name: p, type: prometeus}",
        "2:3 (sources.0): unknown type 'prometeus'",
        "Did you mean 'prometheus'?",
    ),
    ("sources:\n- {name: p}", "2:3 (sources.0): the key 'type' is missing", "Add it"),
    ("sources:\n- name: p\n  type: prometheus", "2:3 (sources.0.url): the key 'url' is missing", "Add it"),
    ("sources:\n- {name: p, type: prometheus, url: 'ftp://x'}", "2:31 (sources.0.url): url starts with http", ""),
    (
        "notify:\n  channels:\n  - {name: a, url: {}}",
        "3:15 (notify.channels.0.url): name either env",
        "{env: SLACK_URL}",
    ),
    ("step: 15s\nstep: 30s", "2:1: the key 'step' stands here twice", "Remove one of them"),
    ("environment: [", "not valid YAML", "Check indentation, quotes and colons"),
    ("environment: !!python/object:os.system x", "is not supported", "Remove it"),
]


@pytest.mark.parametrize(("text", "says", "remedy"), BROKEN)
@pytest.mark.parametrize("command", ["alerts", "tick", "rules list"])
def test_broken_settings_name_line_key_and_remedy(
    run: Run, here: Path, text: str, says: str, remedy: str, command: str
) -> None:
    (here / "controlplane.yaml").write_text(text)
    shown = run(*command.split())
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("error: controlplane.yaml:")
    assert says in shown.err
    assert remedy in shown.err
    assert [path.name for path in here.iterdir()] == ["controlplane.yaml"]


def test_settings_that_are_not_text(run: Run, here: Path) -> None:
    (here / "controlplane.yaml").write_bytes(b"environment: \xff\xfe\n")
    shown = run("alerts")
    assert shown.code == 2
    assert "is not UTF-8" in shown.err


def test_settings_may_be_named_in_three_ways(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "elsewhere").mkdir()
    file = here / "elsewhere" / "mine.yaml"
    file.write_text("environment: production")
    for arguments in (("--config", file, "alerts"), ("alerts", "--config", file)):
        assert run(*arguments, "--json").json == []
    assert run("--config", "nope.yaml", "recommendations", "--config", file, "--json").json == [], "the nearest wins"
    assert run("events", "list", "--json", "--config", file).json == []
    monkeypatch.setenv("CONTROLPLANE_CONFIG", str(file))
    assert run("alerts", "--json").json == []
    assert sorted(path.name for path in here.iterdir()) == ["elsewhere"]
    assert (here / "elsewhere" / ".controlplane" / "events.db").exists(), "home is relative to the settings"


def test_a_named_file_has_to_be_there(run: Run, here: Path) -> None:
    shown = run("alerts", "--config", "nope.yaml")
    assert shown.code == 2
    assert shown.err == "error: nope.yaml: can't be read: No such file or directory\n"


def test_home_that_cannot_be_made(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("CONTROLPLANE_HOME", str(here / "file" / "home"))
    for command in ("alerts", "maintain", "demo"):
        shown = run(command)
        assert shown.code == 2, command
        assert shown.err.splitlines()[-1].startswith("error: ")


def test_init_writes_settings_that_work(run: Run, here: Path) -> None:
    shown = run("init")
    assert shown.code == 0
    settings = bootstrap.load_settings(here / "controlplane.yaml")
    assert settings.platforms == ("catalyst",)
    assert [source.name for source in settings.sources] == ["prometheus"]
    assert not bootstrap.load_rule_set(settings).problems
    again = run("init")
    assert again.code == 2
    assert "--force" in again.err
    (here / "controlplane.yaml").write_text("mine")
    assert run("init", "--force").code == 0
    assert (here / "controlplane.yaml").read_text() == TEMPLATE
    assert run("init", here / "no" / "such" / "folder.yaml").code == 2


def uncommented() -> str:
    """The template with every setting in it switched on."""
    kept = [line for line in TEMPLATE.splitlines() if not re.match(r"\s*# (?! )", line)]
    return re.sub(r"(?m)^(\s*)#", r"\1", "\n".join(kept))


def test_every_setting_of_the_template_is_valid() -> None:
    settings = validate(parse_document(uncommented(), "template"), Settings)
    assert [source.type for source in settings.sources] == [
        "prometheus",
        "kafka",
        "recorded",
        "inventory",
        "prometheus_targets",
    ]
    assert len(settings.notify.channels) == 3
    assert settings.retention.full == timedelta(hours=48)


def _models(kind: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind not in seen:
            seen.add(kind)
            yield kind
            for field in kind.model_fields.values():
                yield from _models(field.annotation, seen)
    else:
        for inner in get_args(kind):
            yield from _models(inner, seen)


def test_the_template_knows_every_key() -> None:
    written = set(re.findall(r"[\w.]+(?=:)", uncommented()))
    missing = {
        f"{model.__name__}.{name}"
        for model in _models(Settings, set())
        if model is not Matcher
        for name, field in model.model_fields.items()
        if (field.alias or name) not in written
    }
    assert missing == set()


def test_defaults_in_the_template_are_the_defaults() -> None:
    shown = validate(parse_document(uncommented(), "template"), Settings)
    plain = Settings()
    assert shown.step == plain.step
    assert shown.retention == plain.retention
    assert shown.serve == plain.serve
    (heartbeat,) = shown.notify.heartbeat
    assert (heartbeat.every, heartbeat.method) == (timedelta(minutes=1), "GET")
    own = {"channels": (), "runbooks": None, "route": None, "inhibit": (), "times": {}, "heartbeat": (), "digest": None}
    own |= {"people": {}, "schedules": {}, "escalations": {}}
    assert shown.notify.model_copy(update=own) == plain.notify
    assert shown.notify.route is not None
    root, default = Tree(shown.notify.route).nodes["{}"], Tree(Route()).nodes["{}"]
    assert root.model_copy(update={"channels": ()}) == default
    prometheus, kafka, *_ = shown.sources
    for source, names in (
        (prometheus, ("timeout", "retries", "concurrency", "lookback", "max_catch_up")),
        (kafka, ("timeout",)),
    ):
        for name in names:
            assert getattr(source, name) == type(source).model_fields[name].default, name
