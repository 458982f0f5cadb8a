"""`controlplane tick`, `deliver`, `serve`, `receive` and `up`: do the work once, or keep doing it."""

import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, table, tell
from controlplane.cli.stores import event_log
from controlplane.cli.times import Instant
from controlplane.model.errors import ControlplaneError, InvalidInput
from controlplane.model.units import many

_AGAIN_SECONDS = 5.0

if TYPE_CHECKING:
    from controlplane.monitor.server import MonitorServer
    from controlplane.notify.outbox import DeliveryReport
    from controlplane.receive.server import ReceiveServer
    from controlplane.settings import Settings
    from controlplane.tick import TickReport


@click.command()
@click.option(
    "--at",
    type=Instant(zoned=True),
    help="Telemetry time to catch up with, such as 2026-03-12T20:00:00Z [default: now].",
)
@click.option("--no-deliver", is_flag=True, help="Leave the messages in the outbox.")
@json_option
@config_option
def tick(*, at: datetime | None, no_deliver: bool, as_json: bool, config: Any) -> None:
    """Do one tick: collect, evaluate, recommend and tell. A missed tick is caught up."""
    from controlplane import bootstrap
    from controlplane.monitor.after import after_tick
    from controlplane.tick import tick as run

    until, began = at or datetime.now(UTC), time.monotonic()
    path = bootstrap.settings_path(config)
    if path is None:
        raise bootstrap.missing_settings(path)
    settings = bootstrap.load_settings(path)
    if until > datetime.now(UTC) + timedelta(minutes=1) and not _recorded_only(settings):
        raise click.BadParameter("lies in the future: no source has answers for it", param_hint="--at")
    plane = bootstrap.control_plane(settings)
    for problem in plane.rule_problems:
        tell(str(problem), err=True)
    broken = bootstrap.check_channels(settings)
    for problem in broken:
        tell(str(problem), err=True)
    with plane.log:
        with console(stderr=True).status("catching up"):
            report = run(plane, until)
        sent = None if no_deliver else bootstrap.deliver(settings, plane.log)
        after_tick(settings, plane, until, time.monotonic() - began, datetime.now(UTC))
    failed = [f"{got.source}: {error}" for got in report.collected for error in got.failures]
    failed += [got.error for got in report.inventories if got.error]
    if as_json:
        problems = [str(problem) for problem in plane.rule_problems]
        unusable = [str(problem) for problem in broken]
        print_json(
            {
                **asdict(report),
                "rule_problems": problems,
                "channel_problems": unusable,
                "delivered": sent and asdict(sent),
            }
        )
    else:
        _show(report, sent)
        for error in failed:
            tell(error, err=True)
    finish(1 if failed or plane.rule_problems or broken or (sent is not None and sent.errors) else 0)


def _show(report: "TickReport", sent: "DeliveryReport | None") -> None:
    rows = [
        (got.source, f"{got.rows:,}", f"{got.series:,}", "; ".join(got.failures) or "ok") for got in report.collected
    ]
    rows += [(got.source, many(got.resources, "resource"), "–", got.error or "ok") for got in report.inventories]
    console().print(table("Sources", ("Source", "Samples", "Series", "State"), rows, right=("Samples", "Series")))
    for done in report.decided:
        tell(
            f"{many(done.steps, 'step')}: {done.fired} fired, {done.resolved} resolved, {done.pending} pending; "
            f"{many(done.proposed, 'recommendation')}, {many(done.notifications, 'message')} queued"
        )
    if sent is not None:
        _told(sent)


@click.command()
@click.option("--follow", is_flag=True, help="Keep sending what becomes due, until interrupted; `up` does this.")
@json_option
@config_option
def deliver(*, follow: bool, as_json: bool, config: Any) -> None:
    """Send what is due in the outbox; exit 1 where a channel failed."""
    from controlplane import bootstrap

    if follow:
        if as_json:
            raise click.UsageError("--follow tells as it goes; leave out --json")
        _follow(config)
        return
    with event_log(config) as (log, settings), console(stderr=True).status("sending"):
        report = bootstrap.deliver(settings, log)
    if as_json:
        print_json(asdict(report))
    else:
        _told(report)
    finish(1 if report.errors else 0)


def _follow(config: Any) -> None:
    """Send until a signal, then let what is on its way come to an end; a store that can't be reached is waited for."""
    from controlplane import bootstrap
    from controlplane.eventlog.errors import StoreUnavailable
    from controlplane.services import orderly_end

    ended = threading.Event()
    failed: list[ControlplaneError] = []

    def work() -> None:
        while not ended.is_set():
            try:
                bootstrap.follow(config, log, ended.is_set, _told)
            except StoreUnavailable as error:
                tell(str(error), err=True)
                ended.wait(_AGAIN_SECONDS)
            except ControlplaneError as error:
                failed.append(error)
                return

    with event_log(config) as (log, settings), orderly_end():
        thread = threading.Thread(target=work, name="follow", daemon=True)
        thread.start()
        try:
            # A signal ends the wait here, where the handler runs.
            while thread.is_alive():
                thread.join(1)
        finally:
            ended.set()
            thread.join(settings.notify.timeout.total_seconds() + 2)
    if failed:
        raise failed[0]


def _told(sent: "DeliveryReport") -> None:
    tell(
        f"{many(sent.delivered, 'message')} delivered, {sent.failed} to be retried, {sent.dead_lettered} given up, "
        f"{sent.left} waiting"
    )
    if sent.elsewhere:
        tell("Another worker is sending them.")
    for channel, error in sorted([*sent.errors.items(), *sent.notes.items()]):
        tell(f"{channel}: {error}", err=True)


@click.command()
@click.option("--address", metavar="HOST:PORT", help="Instead of serve.address of the settings.")
@config_option
def serve(*, address: str | None, config: Any) -> None:
    """Serve /metrics for Prometheus and /healthz for probes, until interrupted."""
    from controlplane import bootstrap

    settings = _settings(config)
    wanted = _address(address, settings.serve.address, "serve")
    _listen(bootstrap.monitor(settings, wanted), "serve", f"http://{wanted}/metrics and /healthz")


@click.command()
@click.option("--address", metavar="HOST:PORT", help="Instead of receive.address of the settings.")
@config_option
def receive(*, address: str | None, config: Any) -> None:
    """Take in acknowledgements made in PagerDuty and Slack, until interrupted."""
    from controlplane import bootstrap

    settings = _settings(config)
    wanted = _address(address, settings.receive.address, "receive")
    paths = [name for name, there in settings.receive.endpoints.items() if there]
    if not paths:
        raise click.UsageError("there is nothing to receive; add receive.pagerduty or receive.slack to the settings")
    _listen(bootstrap.receiver(settings, wanted), "receive", f"POST http://{wanted}/{', /'.join(paths)}")


def _settings(config: Any) -> "Settings":
    from controlplane import bootstrap

    path = bootstrap.settings_path(config)
    if path is None or not path.exists():
        raise bootstrap.missing_settings(path)
    return bootstrap.load_settings(path)


def _address(given: str | None, configured: str | None, section: str) -> str:
    from controlplane.listening import host_and_port

    if given is not None:
        try:
            host_and_port(given)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--address") from None
    wanted = given or configured
    if wanted is None:
        raise click.UsageError(f"{section}.address of the settings is null; say where with --address")
    return wanted


def _listen(listening: "MonitorServer | ReceiveServer", name: str, where: str) -> None:
    """Answer until a signal."""
    from controlplane.services import orderly_end

    with orderly_end(), listening as server:
        tell(where, err=True)
        # A signal ends the wait here, where the handler runs; the server notices by shutdown.
        thread = threading.Thread(target=server.serve_forever, name=name, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(1)
        finally:
            server.shutdown()
            server.end()


@click.command()
@click.option(
    "--port",
    default=3000,
    show_default=True,
    type=click.IntRange(1, 65_535),
    help="Port of Dagster's pages, on loopback.",
)
@click.option("--no-tui", is_flag=True, help="Services only, until interrupted.")
@config_option
def up(*, port: int, no_tui: bool, config: Any) -> None:
    """Start Dagster (schedule, runs, asset graph) and the on-call terminal on your configuration."""
    from controlplane import bootstrap
    from controlplane.services import Services, orderly_end

    path = bootstrap.settings_path(config)
    if path is None or not path.exists():
        raise bootstrap.missing_settings(path)
    settings = bootstrap.load_settings(path)
    bootstrap.check_receiver(settings)
    if problems := bootstrap.check_channels(settings):
        raise InvalidInput(problems)
    busy = console(stderr=True).status("starting Dagster")
    with orderly_end(), busy, Services(settings, path.resolve(), port) as services:
        busy.stop()
        metrics = f" · metrics: http://{settings.serve.address}/metrics" if settings.serve.address else ""
        tell(f"Dagster: http://127.0.0.1:{port}{metrics} · logs in {services.logs}", err=True)
        try:
            if no_tui or not sys.stdout.isatty():
                services.wait()
            else:
                from controlplane.cli.terminal import open_terminal

                with bootstrap.open_log(settings) as log:
                    open_terminal(log, settings)
            services.check()
        finally:
            busy.update("ending Dagster")
            busy.start()


def _recorded_only(settings: "Settings") -> bool:
    from controlplane.settings import InventoryFile, RecordedSource

    return all(isinstance(source, RecordedSource | InventoryFile) for source in settings.sources)
