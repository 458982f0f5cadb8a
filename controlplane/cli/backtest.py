"""`controlplane backtest`: what would these rules have paged?"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, tell
from controlplane.cli.times import Duration, Instant
from controlplane.model.time import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.backtest.report import Night
    from controlplane.backtest.samplefile import Progress
    from controlplane.backtest.setup import Tested
    from controlplane.eventlog.log import EventLog

_QUARTER = 0.25
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class _Instant(click.ParamType[int]):
    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if re.fullmatch(r"[0-9]{1,15}", text):
            return int(text)
        return to_ms(Instant(zoned=True).convert(text, param, ctx))


def _step(_context: click.Context, _parameter: click.Parameter, step: timedelta) -> timedelta:
    if step < timedelta(seconds=1) or step > timedelta(hours=1) or timedelta(hours=24) % step:
        raise click.BadParameter("it is between 1s and 1h and divides a day, such as 15s")
    return step


def _night(_context: click.Context, _parameter: click.Parameter, text: str) -> "Night":
    from controlplane.backtest.report import Night

    found = _HOURS.fullmatch(text)
    if found is None or found.groups()[:2] == found.groups()[2:]:
        raise click.BadParameter(f"{text!r} is no part of the day; write it like 22:00-07:00 (UTC)")
    hours = [int(part) for part in found.groups()]
    return Night(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])


_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--rules", multiple=True, type=_PATH, help="Rule file or folder; may be given several times.")
@click.option("--samples", type=_PATH, help="Parquet or CSV file with ts, signal, labels, value, perhaps platform.")
@click.option("--from", "begin", type=_Instant(), help="First step [default: of the samples].")
@click.option("--to", "end", type=_Instant(), help="Last step [default: of the samples].")
@click.option("--step", type=Duration(), default="15s", show_default=True, callback=_step, help="The grid.")
@click.option("--inventory", type=_PATH, help="Inventory file: limits, settings, hosts.")
@click.option("--prices", type=_PATH, help="Price book.")
@click.option("--night", default="22:00-07:00", show_default=True, callback=_night, help="Night, in UTC.")
@click.option("--compare", nargs=2, type=_PATH, metavar="OLD NEW", help="What NEW would change: rule files or folders.")
@click.option("--since", type=Duration(), help="With --compare: stored samples of so much time [default: 7d].")
@click.option(
    "--max-pages", type=click.IntRange(0), help="Exit 1 where there are more pages than this (with --compare: of NEW)."
)
@click.option("--log", "keep", type=_PATH, metavar="FILE", help="Keep every decision, for `tui --backtest FILE`.")
@json_option
@config_option
def backtest(
    *,
    rules: tuple[Path, ...],
    samples: Path | None,
    begin: int | None,
    end: int | None,
    step: timedelta,
    inventory: Path | None,
    prices: Path | None,
    night: Any,
    compare: tuple[Path, Path] | None,
    since: timedelta | None,
    max_pages: int | None,
    keep: Path | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Run rules over recorded samples: alerts, recommendations and messages that they would have led to.

    Nothing is sent, and nothing is stored but with --log. With --compare: what NEW rules would change, over the
    stored samples or --samples. Exit 1 where --max-pages is exceeded, 2 where a file can't be used.
    """
    if begin is not None and end is not None and end < begin:
        raise click.UsageError("--to lies before --from")
    if compare is None:
        if not rules or samples is None:
            raise click.UsageError("name --rules and --samples, or --compare OLD NEW")
        if since is not None:
            raise click.UsageError("--since belongs to --compare")
    elif rules:
        raise click.UsageError("--rules and --compare exclude each other")
    elif samples is not None and since is not None:
        raise click.UsageError("--since is for stored samples; with --samples write --from and --to")
    elif samples is None and (begin is not None or end is not None):
        raise click.UsageError("--from and --to are for --samples; of stored samples take --since")
    if keep is not None and compare is not None:
        raise click.UsageError("--log keeps one backtest; run the rules of each side with --rules and --log of its own")
    if keep is not None and keep.exists():
        raise click.UsageError(f"--log {keep} exists already; name another file, or remove it")
    sets = (rules,) if compare is None else ((compare[0],), (compare[1],))
    began = time.monotonic()
    with TemporaryDirectory(prefix="controlplane-backtest-") as name, _progress() as told:
        if samples is None:
            tested = _stored(sets, since or timedelta(days=7), inventory, prices, night, told, config)
        else:
            from controlplane.backtest.setup import Asked, prepare
            from controlplane.backtest.setup import backtest as run_it

            asked = Asked(sets, samples, step, begin, end, inventory, prices)
            ready = prepare(asked, Path(name), told)
            with _kept(keep) as log:
                tested = run_it(ready, Path(name), night, told, log=log)
    seconds = round(time.monotonic() - began, 3)
    for document in tested.documents:
        document["summary"]["seconds"] = seconds
    if compare is None:
        _single(tested, as_json=as_json)
    else:
        _compared(tested, night, as_json=as_json)
    finish(_verdict(tested.documents[-1]["summary"]["pages"], max_pages))


@contextmanager
def _kept(path: Path | None) -> "Iterator[EventLog | None]":
    """A new event log at `path`, which appears there once it is whole."""
    if path is None:
        yield None
        return
    from controlplane.eventlog.log import EventLog

    path = path.absolute()
    if not path.parent.is_dir():
        raise click.UsageError(f"--log: there is no folder {path.parent}")
    with TemporaryDirectory(prefix=".controlplane-backtest-", dir=path.parent) as folder:
        made = Path(folder) / "events.db"
        with EventLog.open(f"sqlite:///{made}") as log:
            yield log
        made.replace(path)


def _stored(
    sets: "Sequence[Sequence[Path]]",
    since: timedelta,
    inventory: Path | None,
    prices: Path | None,
    night: "Night",
    told: "Progress",
    config: Path | None,
) -> "Tested":
    """Backtests over the control plane's own samples, with its inventory, prices and channels."""
    from controlplane import bootstrap
    from controlplane.backtest.setup import over_store
    from controlplane.cli.stores import event_log
    from controlplane.eventlog.projections import RESOURCES

    with event_log(config) as (log, settings):
        rows = log.rows(RESOURCES)
    known = tuple(rows[key].resource for key in sorted(rows))
    return over_store(
        bootstrap.open_store(settings),
        settings,
        sets,
        since,
        inventory=inventory,
        known=known,
        prices=prices,
        books=lambda platforms: bootstrap.load_prices(settings, platforms),
        night=night,
        progress=told,
        route=bootstrap.route(settings.notify),
    )


def _single(tested: "Tested", *, as_json: bool) -> None:
    (result,), (run,) = tested.documents, tested.runs
    if as_json:
        print_json(result)
        return
    from controlplane.backtest.report import episodes
    from controlplane.cli.backtested import show

    show(console(), result, episodes(run))


def _compared(tested: "Tested", night: "Night", *, as_json: bool) -> None:
    from controlplane.backtest.compare import comparison
    from controlplane.cli.backtested import show_comparison

    (old, new), (old_run, new_run) = tested.documents, tested.runs
    result = {**comparison(old_run, new_run, night), "summary": {"old": old["summary"], "new": new["summary"]}}
    if as_json:
        print_json(result)
    else:
        show_comparison(console(), result)


def _verdict(pages: int, most: int | None) -> int:
    if most is None or pages <= most:
        return 0
    tell(f"{pages} pages are more than {most}", err=True)
    return 1


@contextmanager
def _progress() -> "Iterator[Progress]":
    """A bar on a terminal, a line a quarter elsewhere, both on stderr."""
    from rich import progress

    screen = console(stderr=True)
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TaskProgressColumn())
    with progress.Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("Reading", total=1.0)
        quarters = {"": 0}

        def told(what: str, share: float) -> None:
            bar.update(task, completed=share, description=what)
            stage = what.partition(" ")[0]
            if not screen.is_terminal and int(share / _QUARTER) > quarters.get(stage, 0):
                quarters[stage] = int(share / _QUARTER)
                tell(f"{what} · {share:.0%}", err=True)

        yield told
