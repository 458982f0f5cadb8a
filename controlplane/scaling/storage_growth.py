"""A volume that fills up: how fast, when it is full, and how much to add for how long."""

from datetime import timedelta
from decimal import Decimal

from controlplane.history import History
from controlplane.model.commands import command, fill, quote
from controlplane.model.labels import printable
from controlplane.model.methods import StorageGrowth
from controlplane.model.prices import UNITS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import human
from controlplane.scaling.sizing import whole
from controlplane.scaling.volume import DAY, LIMIT, USAGE, UTILISATION, Volume, read_volume

_WEAK = 0.5


def advise(history: History, parameters: StorageGrowth, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Storage that keeps the alert's volume at or below the target for the runway; AdviceError says what is missing."""
    p = parameters
    volume = read_volume(history, p, inventory)
    stages, extra = _size(volume, p)
    units = whole(extra / p.unit)
    size = volume.size + extra
    values: dict[str, str | int] = {
        "host": volume.host,
        "mountpoint": volume.mountpoint,
        "extra_bytes": round(extra),
        "extra_gb": whole(extra / 1e9),
        "size_bytes": round(size),
        "size_gb": whole(size / 1e9),
        "units": units,
    }
    before, after = volume.used / volume.size, volume.used / size
    full = volume.full_in(volume.size)
    shared = {
        "target": f"volume {volume.shown}",
        "from_": f"{human(volume.size, 'By')}, {before * 100:.1f} % used",
        "inputs": _inputs(volume, p),
        "stages": stages,
        "survives": _survives(history, volume, p, inventory),
        "evidence": _evidence(history, volume, p),
    }
    growth = f"grows by {human(volume.growth * DAY, 'By')} a day" if volume.growth else "doesn't grow"
    why = f"{human(volume.used, 'By')} of {human(volume.size, 'By')} are used ({before * 100:.1f} %) and it {growth}"
    why += f": full in {human_duration(full)}." if full is not None else "."
    why += f" The target is {p.target * 100:g} % after {format_duration(p.runway)}."
    if extra <= 0:
        reason = next((stage.limit for stage in reversed(stages) if stage.limit), None)
        reads = command(["ssh", "--", volume.host, command(["df", "-B1", "--", volume.mountpoint])])
        return Proposal(
            kind="investigate",
            title=f"Volume {volume.shown} takes no more storage" if reason else f"Volume {volume.shown} needs none",
            to="no change" if reason is None else f"less data, since {reason} is reached",
            why=why + (f" It can't grow: {reason}." if reason else " It stays below without more."),
            cost=total((free_line("No storage is added"),), _do_nothing(volume)),
            gain="No capacity is added",
            time_to_effect=timedelta(0),
            commands=(reads,),
            revert=("# nothing to revert: the command only reads",),
            rejected=(Rejected(option="Add storage", reason=reason or "the target holds for the whole runway"),),
            **shared,
        )
    lasts = volume.full_in(size, p.target)
    return Proposal(
        kind="add_storage",
        title=f"Add {human(extra, 'By')} to {volume.shown}",
        to=f"{human(size, 'By')}, {after * 100:.1f} % used",
        why=why,
        cost=total((_line(volume, extra, units, p, prices),), _do_nothing(volume)),
        gain=f"{human(volume.size, 'By')} → {human(size, 'By')}; {p.target * 100:g} % is reached "
        + (f"in {human_duration(lasts)}" if lasts is not None else "at no foreseeable time"),
        time_to_effect=p.time_to_effect,
        commands=tuple(fill(argv, values) for argv in p.commands) or _grow(volume, extra),
        revert=tuple(fill(argv, values) for argv in p.revert)
        or (f"# {volume.shown} can't shrink in place: restore it from a backup to a volume of the old size",),
        rejected=_rejected(volume, p),
        **shared,
    )


def _size(volume: Volume, p: StorageGrowth) -> tuple[tuple[Stage, ...], float]:
    """Bytes to add: raw → rounded to whole units → clamped to the largest volume."""
    runway = p.runway.total_seconds()
    raw = max(0.0, (volume.used + volume.growth * runway) / p.target - volume.size)
    rounded = whole(raw / p.unit) * p.unit
    room = float("inf") if p.maximum is None else max(0.0, p.maximum - volume.size) // p.unit * p.unit
    extra = min(rounded, room)
    limit = f"a volume of {human(p.maximum, 'By')}" if extra < rounded else None
    reason = f"({human(volume.used, 'By')} + {human(volume.growth, 'By/s')} × {runway:,.0f} s) ÷ {p.target:g}"
    unit = f"units of {human(p.unit, 'By')}" + (f" ({p.unit_name})" if p.unit_name else "")
    return (
        Stage(name="raw", value=raw, reason=f"{reason} − {human(volume.size, 'By')}, in bytes"),
        Stage(name="rounded", value=rounded, limit=unit if rounded > raw else None, reason=f"in whole {unit}"),
        Stage(name="clamped", value=extra, limit=limit, reason="within the largest size of the volume"),
    ), extra


def _line(volume: Volume, extra: float, units: int, p: StorageGrowth, prices: PriceBook) -> CostLine:
    price = prices.get(p.price)
    if price is None or price.unit == "USD/GBy.mo":
        item = f"{human(extra, 'By')} for {volume.shown}"
        return prices.line(p.price, Decimal(round(extra)) / 10**9, item=item)
    item = f"{units} × {p.unit_name or human(p.unit, 'By')} for {volume.shown}"
    return prices.line(p.price, units, item=item, units=UNITS - {"USD/GBy"})


def _grow(volume: Volume, extra: float) -> tuple[str, ...]:
    mountpoint = quote(volume.mountpoint)
    device = f'"$(findmnt -n -o SOURCE --target {mountpoint})"'
    return (
        command(["ssh", "--", volume.host, f"df -B1 -- {mountpoint}; sudo vgs --units b"]),
        command(["ssh", "--", volume.host, f"sudo lvextend --resizefs --size +{round(extra)}b {device}"]),
    )


def _inputs(volume: Volume, p: StorageGrowth) -> dict[str, str]:
    fit = volume.trend
    return {
        "used": human(volume.used, "By"),
        "size": human(volume.size, "By"),
        "growth": f"{human(fit.per_second, 'By/s')} ({human(fit.per_second * DAY, 'By')} a day)",
        "trend": f"{fit.samples} samples over {human_duration(timedelta(seconds=fit.seconds))}",
        "r²": "undefined: no variation" if fit.r2 is None else f"{fit.r2:.3f}",
        "residual": human(fit.residual, "By"),
        "target": f"{p.target * 100:g} %",
        "runway": f"{format_duration(p.runway)}, {p.runway.total_seconds() / fit.seconds:,.0f} × what was measured",
        "unit": human(p.unit, "By") + (f" ({p.unit_name})" if p.unit_name else ""),
    }


def _evidence(history: History, volume: Volume, p: StorageGrowth) -> tuple[Evidence, ...]:
    labels = {"host": volume.host, "mountpoint": volume.mountpoint}
    reference = history.reference(USAGE, LIMIT, UTILISATION)
    fit, used = volume.trend, volume.used / volume.size
    weak = fit.r2 is not None and fit.r2 < _WEAK
    told = "a weak trend: the line explains less than half" if weak else "a steady trend"

    def measured(signal: str, value: float, unit: str, verdict: str, limit: str | None = None) -> Evidence:
        return Evidence(
            signal=signal,
            labels=labels,
            value=value,
            unit=unit,
            at=history.at,
            limit=limit,
            verdict=verdict,
            reference=reference,
        )

    verdict = "above the target" if used > p.target else "within the target"
    return (
        history.told(),
        measured(UTILISATION, used, "1", verdict, f"> {p.target:g}"),
        measured(USAGE, fit.per_second, "By/s", told if fit.per_second > 0 else "it doesn't grow"),
        measured(LIMIT, volume.size, "By", "size of the file system"),
    )


def _do_nothing(volume: Volume) -> str:
    full = volume.full_in(volume.size)
    if full is None:
        return "It stays as full as it is; there is no room for an unusual day"
    if not full:
        return "It is full: writes fail"
    return f"Full in {human_duration(full)}; then writes fail and the services on {printable(volume.host, 60)} stop"


def _rejected(volume: Volume, p: StorageGrowth) -> tuple[Rejected, ...]:
    least = max(0.0, volume.used / p.target - volume.size)
    tenth = volume.used * 0.1
    if volume.growth > 0:
        gains = human_duration(timedelta(seconds=min(tenth / volume.growth, 100 * 365 * DAY)))
        clean = f"deleting a tenth ({human(tenth, 'By')}) is used up again in {gains}"
        return (
            Rejected(option="Delete or archive old data only", reason=clean),
            Rejected(
                option=f"Add {human(least, 'By')}, enough for today",
                reason="it leaves no runway: the target is passed at once",
            ),
        )
    return (
        Rejected(
            option="Add storage for growth too",
            reason="no growth was measured, so the target alone decides the size",
        ),
    )


def _survives(history: History, volume: Volume, p: StorageGrowth, inventory: Inventory) -> tuple[Survival, ...]:
    loss = f"host {printable(volume.host, 60)}"
    peers = _peers(history, volume, inventory)
    if p.replication_factor is None:
        reason = "how many copies of the data there are isn't stated (parameter replication_factor)"
        return (Survival(loss=loss, ok=None, reason=reason),)
    if p.replication_factor < 2:
        return (Survival(loss=loss, ok=False, reason="replication factor 1: the data is on this host only"),)
    if not peers:
        reason = f"replication factor {p.replication_factor}, but the inventory names no other host of its kind"
        return (Survival(loss=loss, ok=None, reason=reason),)
    zones = {peer.zone for peer in peers if peer.zone}
    here = next((r.zone for r in inventory.of(history.alert.platform) if r.id == volume.host and r.zone), "")
    copies = p.replication_factor - 1
    host = Survival(
        loss=loss, ok=len(peers) >= copies, reason=f"{copies} further copies on {len(peers)} other hosts of its kind"
    )
    if not here or not zones:
        return (host, Survival(loss="its zone", ok=None, reason="the zones of the hosts aren't in the inventory"))
    others = len(zones - {here})
    return (
        host,
        Survival(loss=f"zone {printable(here, 60)}", ok=others > 0, reason=f"its kind runs in {others} other zones"),
    )


def _peers(history: History, volume: Volume, inventory: Inventory) -> tuple[Resource, ...]:
    resources = inventory.of(history.alert.platform)
    own = next((resource for resource in resources if resource.id == volume.host), None)
    if own is None or not (own.role or own.cluster):
        return ()
    return tuple(
        resource
        for resource in resources
        if resource.id != own.id
        and (resource.kind, resource.role, resource.cluster) == (own.kind, own.role, own.cluster)
    )
