"""The settings at a glance: the same as the whole of them says, and nothing where that isn't sure."""

from pathlib import Path

import pytest

from controlplane import bootstrap
from controlplane.glance import Glance, glance, settings_path
from controlplane.model.errors import InvalidInput
from controlplane.settings import Settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONTROLPLANE_HOME", "CONTROLPLANE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "controlplane.yaml"


def whole(settings: Settings) -> Glance:
    return Glance(settings.environment, settings.tui.theme, settings.tui.keys)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "environment: prod-eu",
        'environment: ""',
        "environment: no",
        "step: 1m",
        "tui: {}",
        "tui: {theme: colour-blind}",
        "tui: {keys: {}}",
        "environment: x\ntui:\n  theme: light\n  keys: {act.acknowledge: x, move.down: 'z,down'}",
    ],
)
def test_it_is_what_the_whole_says(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert glance() == glance(file) == whole(bootstrap.load_settings(file))


def test_the_defaults_are_those_of_the_settings() -> None:
    assert Glance() == whole(Settings())


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "7",
        "environment: 7",
        "environment: null",
        "environment: [x]",
        "tui: null",
        "tui: dark",
        "tui: {theme: blue}",
        "tui: {theme: 7}",
        "tui: {theme: [dark]}",
        "tui: {keys: x}",
        "tui: {keys: {act.acknowledge: 7}}",
    ],
)
def test_nothing_is_said_where_the_whole_is_wrong(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert glance() is None
    with pytest.raises(InvalidInput):
        bootstrap.load_settings(file)


@pytest.mark.parametrize("text", ["", "# nothing yet"])
def test_nothing_is_said_of_an_empty_file(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert glance() is None
    assert whole(bootstrap.load_settings(file)) == Glance()


def test_without_a_file_there_is_nothing_to_glance_at(file: Path) -> None:
    assert settings_path() is None
    assert glance() is None
    assert settings_path(file) == file


@pytest.mark.parametrize("text", ["a: [", "environment: x\nenvironment: y", "!!python/object:x {}"])
def test_what_is_no_yaml_is_said_as_the_whole_says_it(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as here:
        glance()
    with pytest.raises(InvalidInput) as there:
        bootstrap.load_settings()
    assert str(here.value) == str(there.value)


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be read"):
        glance(file)
