"""All checks in their order; one that fails stops no other."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from controlplane import bootstrap
from controlplane.doctor import inputs, people, stores
from controlplane.doctor.findings import Finding, Findings, failures
from controlplane.model.errors import ControlplaneError
from controlplane.settings import Settings

_log = logging.getLogger(__name__)


def examine(config: Path | None, on_check: Callable[[str], None]) -> Findings:
    """Check everything that the settings name, in a fixed order; `on_check` is told what is tried next."""
    on_check("settings")
    path = bootstrap.settings_path(config)
    if path is None:
        yield Finding("settings", "fail", "there is no configuration", "Write one with `controlplane init`")
        return
    try:
        settings = bootstrap.load_settings(path)
    except ControlplaneError as error:
        yield from failures("settings", error, "Correct the file")
        return
    yield Finding("settings", "ok", f"{path} is valid; home is {settings.home}")
    # What comes along by itself is neither right nor wrong.
    settings = settings.model_copy(update={"self_monitoring": False})
    checks: list[tuple[str, Callable[[Settings], Findings]]] = [
        ("rules", inputs.rules),
        ("prices", inputs.prices),
        ("sources", inputs.sources),
    ]
    checks += [(source.name, partial(inputs.source, source)) for source in settings.sources]
    checks += [
        ("channels", people.channels),
        ("digest", people.digest),
        ("heartbeats", people.heartbeats),
        ("on call", people.on_call),
        ("receive", people.receive),
        ("home", stores.home),
        ("event log", stores.event_log),
        ("telemetry", stores.telemetry),
    ]
    for name, check in checks:
        on_check(name)
        yield from _guarded(name, check, settings)


def _guarded(name: str, check: Callable[[Settings], Findings], settings: Settings) -> Findings:
    try:
        yield from check(settings)
    except ControlplaneError as error:
        yield from failures(name, error, f"Correct what the settings say of {name}")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        yield Finding(name, "fail", what, "Check that the path exists and may be read and written")
    except Exception as error:  # noqa: BLE001 - a defect is a finding, and the other checks go on
        # A doctor that falls ill helps nobody: the other checks still have to be made.
        _log.debug("the check of %s failed", name, exc_info=True)
        yield Finding(name, "fail", f"a defect of the control plane: {type(error).__name__}: {error}", "Report it")
