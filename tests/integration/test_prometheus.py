"""The collector against a real Prometheus: values, gaps and stale series arrive as the range API defines them."""

import json
import math
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from controlplane.model.signals import Signal
from controlplane.model.time import Window, on_grid
from controlplane.settings import InventoryTargets, PrometheusSource
from controlplane.telemetry import inventory
from controlplane.telemetry.collector import Batch, SourceError
from controlplane.telemetry.prometheus import PrometheusCollector
from tests.servers import eventually, require_binary
from tests.servers_prometheus import Exposition, import_openmetrics, prometheus_server, scraped

__all__ = ["scraped"]
pytestmark = pytest.mark.integration

STEP = 15_000
T0 = 1_700_000_010_000 // STEP * STEP
OFFSET = 7_000
LOOKBACK = 300_000


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def collector(url: str, step: int, *queries: str, **labels: str) -> PrometheusCollector:
    source = PrometheusSource(name="prom", type="prometheus", url=url, timeout=timedelta(seconds=20))
    signals = [("pack", Signal(name=f"s{n}", unit="1", prometheus=q, labels=labels)) for n, q in enumerate(queries)]
    return PrometheusCollector(source, signals, step)


def collect(url: str, window: Window, *queries: str, **labels: str) -> Batch:
    subject = collector(url, window.step, *queries, **labels)
    return subject.collect(dict.fromkeys(subject.signals(), window))


def values(batch: Batch, signal: str = "s0") -> dict[str, dict[int, float | None]]:
    """Labels → step → value."""
    joined = batch.samples.samples.join(batch.samples.series, on="sid").sort("ts")
    found: dict[str, dict[int, float | None]] = {}
    for name, labels, ts, value in joined.select("signal", "labels", "ts", "value").rows():
        if name == signal:
            found.setdefault(labels, {})[ts] = value
    return found


def instant(url: str, query: str, ms: int) -> dict[str, float | None]:
    """What an instant query at `ms` gives: the definition of a range query's step."""
    form = {"query": query, "time": f"{ms / 1000:.3f}"}
    answer = requests.post(f"{url}/api/v1/query", data=form, timeout=10).json()
    found: dict[str, float | None] = {}
    for one in answer["data"]["result"]:
        labels = {name: text for name, text in one["metric"].items() if name != "__name__"}
        number = float(one["value"][1])
        found[json.dumps(labels, sort_keys=True, separators=(",", ":"))] = None if math.isnan(number) else number
    return found


def history() -> dict[str, list[tuple[int, str]]]:
    """Host → (ms, value): off the grid, with a gap beyond the lookback, and with odd numbers."""
    regular = [(T0 + OFFSET + n * STEP, str(n)) for n in range(120)]
    gap = [(ms, text) for ms, text in regular if not T0 + 300_000 < ms < T0 + 1_000_000]
    odd = [(T0 + OFFSET + n * STEP, text) for n, text in enumerate(["NaN", "+Inf", "-Inf", "5e-324", "-0"] * 4)]
    return {"regular": regular, "gap": gap, "odd": odd}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_binary("prometheus")
    folder = tmp_path_factory.mktemp("history")
    rows = sorted((ms, host, text) for host, samples in history().items() for ms, text in samples)
    lines = [f'load{{consumergroup="{host}"}} {text} {ms / 1000:.3f}' for ms, host, text in rows]
    also = [f'also{{consumergroup="odd"}} 1 {ms / 1000:.3f}' for ms, _ in history()["odd"]]
    import_openmetrics(folder, "\n".join(["# TYPE also gauge", *also, "# TYPE load gauge", *lines, "# EOF", ""]))
    with prometheus_server(folder) as url:
        eventually(lambda: instant(url, "load", T0 + STEP), "the imported blocks are loaded")
        yield url


def expected(samples: list[tuple[int, str]], window: Window) -> dict[int, float | None]:
    """At each step the newest sample of the lookback."""
    found: dict[int, float | None] = {}
    for step in window.steps():
        known = [text for ms, text in samples if step - LOOKBACK <= ms <= step]
        if known:
            number = float(known[-1])
            found[step] = None if math.isnan(number) else number
    return found


def test_values_and_gaps_are_those_of_the_range_api(imported: str) -> None:
    window = Window(T0 - 4 * STEP, T0 + 160 * STEP, STEP)
    batch = collect(imported, window, "load", consumergroup="consumer_group")
    found = values(batch)
    assert set(found) == {f'{{"consumer_group":"{host}"}}' for host in history()}
    for host, samples in history().items():
        assert found[f'{{"consumer_group":"{host}"}}'] == expected(samples, window)
    silent = [step for step in window.steps() if step not in found['{"consumer_group":"gap"}']]
    assert any(T0 + 600_000 < step < T0 + 1_000_000 for step in silent)
    assert batch.samples.coverage.rows() == [("prom", "pack", "s0", window.first, window.end)]


def test_every_step_equals_the_instant_query_at_it(imported: str) -> None:
    window = Window(T0 + 10 * STEP, T0 + 80 * STEP, STEP)
    query = "sum without (host) (load) * 2"
    found = values(collect(imported, window, query))
    for step in window.steps():
        assert {labels: at[step] for labels, at in found.items() if step in at} == instant(imported, query, step)


def test_two_windows_give_what_one_gives(imported: str) -> None:
    middle = T0 + 33 * STEP
    whole = values(collect(imported, Window(T0, T0 + 70 * STEP, STEP), "load"))
    first = values(collect(imported, Window(T0, middle, STEP), "load"))
    second = values(collect(imported, Window(middle, T0 + 70 * STEP, STEP), "load"))
    for labels, at in whole.items():
        assert first.get(labels, {}) | second.get(labels, {}) == at


def test_a_window_beyond_the_points_of_one_answer(imported: str) -> None:
    window = Window(T0 - 2_000, T0 + 12_000_000 - 2_000, 1_000)
    found = values(collect(imported, window, 'load{consumergroup="regular"}'))
    (at,) = found.values()
    assert at == expected(history()["regular"], window)


def test_errors_speak_the_words_of_the_server(imported: str) -> None:
    window = Window(T0, T0 + 2 * STEP, STEP)
    many = "load * on() load"
    batch = collect(imported, window, "load", "sum by (", many, 'label_replace(load, "__name__", "x", "", "")')
    told = {failure.key.signal: failure.message for failure in batch.failures}
    assert set(told) == {"s1", "s2"}
    assert told["s1"].startswith("bad_data: ")
    assert "parse error" in told["s1"]
    assert told["s2"].startswith("execution: ")
    assert set(values(batch)) == {f'{{"consumergroup":"{host}"}}' for host in ("regular", "odd", "gap")}


def test_equal_labels_are_refused(imported: str) -> None:
    (failure,) = collect(imported, Window(T0, T0 + STEP, STEP), '{__name__=~"load|also"}').failures
    assert "same labels: consumergroup=odd" in failure.message


def test_hostile_labels_travel_through_a_real_server(scraped: tuple[str, Exposition]) -> None:
    url, shown = scraped
    nasty = 'a"b\\c},{"metric":{"x":"y"},"values":[[1,"2"]]\n<&> ü 日本 \x1b[31m' + "z" * 5_000
    escaped = nasty.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    shown.expose(f'hostile{{text="{escaped}"}} 4\nhostile{{text="plain"}} 5\n')
    eventually(lambda: instant(url, "hostile", round(time.time() * 1000)), "the series is stored")
    now = on_grid(round(time.time() * 1000), 1_000)
    subject = collector(url, 1_000, "sum by (text) (hostile)")
    batch = subject.collect(dict.fromkeys(subject.signals(), Window(now - 2_000, now, 1_000)))
    assert {json.loads(labels)["text"]: at[now] for labels, at in values(batch).items()} == {nasty: 4.0, "plain": 5.0}


def test_a_series_that_ends_is_gone_at_once(scraped: tuple[str, Exposition]) -> None:
    url, shown = scraped
    shown.expose('leaving{host="a"} 1\nleaving{host="b"} 2\n')
    eventually(lambda: len(instant(url, "leaving", round(time.time() * 1000))) == 2, "both series are stored")
    shown.expose('leaving{host="a"} 1\n')
    eventually(lambda: len(instant(url, "leaving", round(time.time() * 1000))) == 1, "one is marked stale")
    end = on_grid(round(time.time() * 1000), 1_000)
    window = Window(end - 20_000, end, 1_000)
    found = values(collect(url, window, "sum by (host) (leaving)"))
    stays, left = found['{"host":"a"}'], found['{"host":"b"}']
    assert stays[end] == 1.0
    assert left
    assert max(left) < end
    for step in window.steps():
        at = {labels: at[step] for labels, at in found.items() if step in at}
        assert at == instant(url, "sum by (host) (leaving)", step)


def test_the_doctor_and_discovery(scraped: tuple[str, Exposition]) -> None:
    url, _ = scraped
    subject = collector(url, STEP, "up", "no_such_metric", "sum(", "scalar(up)")
    assert subject.available(["up", "no_such_metric"]) == {"up"}
    empty, *bad = subject.check()
    assert empty == "pack/s1: the query gives no series now"
    assert [finding.split(":")[0] for finding in bad] == ["pack/s2", "pack/s3"]


def test_targets_are_resources(scraped: tuple[str, Exposition]) -> None:
    url, shown = scraped
    base: dict[str, Any] = {"name": "t", "type": "prometheus_targets", "platform": "pack", "url": url}
    (host,) = inventory.InventoryTargets(InventoryTargets.model_validate(base | {"labels": {"zone": "zone"}})).load()
    assert (host.key, host.kind, host.zone) == ("pack/127.0.0.1", "host", "zone-a")
    assert host.attributes == {"jobs": "prometheus, test"}
    services = inventory.InventoryTargets(InventoryTargets.model_validate(base | {"kind": "service"})).load()
    assert {service.id for service in services} == {shown.address, url.removeprefix("http://")}


def test_a_query_that_takes_too_long_ends_at_the_deadline(imported: str) -> None:
    source = PrometheusSource(name="prom", type="prometheus", url=imported, timeout=timedelta(seconds=1), retries=0)
    slow = " + ".join(["quantile_over_time(0.5, vector(1)[5h:1s])"] * 20)
    subject = PrometheusCollector(source, [("pack", Signal(name="slow", unit="1", prometheus=slow))], STEP)
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"within 1 s|query timed out"):
        subject.collect({subject.signals()[0]: Window(T0, T0 + 1000 * STEP, STEP)})
    assert time.monotonic() - began < 3


def test_a_server_that_ended(tmp_path: Path) -> None:
    with prometheus_server(tmp_path) as url:
        assert collector(url, STEP, "vector(1)").check() == []
    with pytest.raises(SourceError, match="Connection refused"):
        collect(url, Window(T0, T0 + STEP, STEP), "up")
