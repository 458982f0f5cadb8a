"""Short texts for lines and cells: printable, cut to a width in cells, numbers with their unit."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from controlplane.model.labels import printable
from controlplane.model.money import human_money
from controlplane.model.time import human_duration
from controlplane.model.units import human, is_state
from tui.data.shares import shares

if TYPE_CHECKING:
    from controlplane.model.base import Condition
    from controlplane.model.recommendations import Cost, Proposal, Recommendation

_BLOCKS = "▁▂▃▄▅▆▇█"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

safe = lru_cache(maxsize=16_384)(printable)
"""`printable`, remembered: the same labels are drawn again and again."""


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis; wide characters count as two."""
    length = cell_len(text)
    if length > width:
        if width <= 0:
            return ""
        text = set_cell_size(text, width - 1).rstrip() + "…"
        length = cell_len(text)
    return " " * (width - length) + text if right else text + " " * (width - length)


def short_age(duration: timedelta) -> str:
    """An age for a column: `8s`, `4m12s`, `47m`, `3d4h`, `120d`; seconds only below ten minutes."""
    text = human_duration(duration)
    first = text.split(" ")[0]
    return first if len(text) > 7 or (first[-1] == "m" and len(first) > 2) else text.replace(" ", "")


def stamp(instant: datetime, now: datetime) -> str:
    """A time of today as `19:04:15Z`, of another day with its date."""
    return instant.strftime("%H:%M:%SZ" if instant.date() == now.date() else "%Y-%m-%d %H:%MZ")


def condition(threshold: str) -> "Condition | None":
    """The parsed condition of an alert, None where it isn't one."""
    from controlplane.model.base import Condition  # it brings pydantic: not at the start

    try:
        return Condition.parse(threshold)
    except ValueError:
        return None


def against(value: float | None, threshold: str, unit: str, *, short: bool = False) -> str:
    """A value against its threshold, the unit named once: `412,000 > 100,000 messages`, short `412k > 100k …`."""
    say = brief if short else human
    shown, parsed = say(value, unit), condition(threshold)
    if parsed is None:
        return f"{shown} {safe(threshold, 40)}".strip()
    if value is not None and is_state(parsed.operator, unit):
        return f"{value:g} {parsed.operator} {parsed.threshold:g}"
    limit = say(parsed.threshold, parsed.unit or unit)
    number, _, name = shown.partition(" ")
    if value is not None and name and (unit.startswith("{") or limit.endswith(f" {name}")):
        shown = number
    return f"{shown} {parsed.operator} {limit}"


def brief(value: float | None, unit: str) -> str:
    """As `human`, but counts from 10,000 on as `412k` and `1.2M`."""
    if value is not None and unit.startswith("{") and abs(value) >= 10_000 and math.isfinite(value):
        _, _, name = human(value, unit).partition(" ")
        factor, prefix = next(pair for pair in _PREFIXES if abs(value) >= pair[0])
        return f"{value / factor:.4g}{prefix} {name}"
    return human(value, unit)


def where(labels: Mapping[str, str], *known: str) -> str:
    """The values of the labels in name order, without those that say what another column says."""
    return " ".join(safe(value, 80) for _, value in sorted(labels.items()) if value and value not in known)


def change_money(cost: "Cost", amount: str = "per_month") -> str:
    """An amount of a cost as a change: `+$9,702`, `−$120.50`, `$0`, `unknown`."""
    value = getattr(cost, amount)
    shown = human_money(value, cost.currency)
    return f"+{shown}" if value is not None and value > 0 else shown


def monthly(cost: "Cost") -> str:
    """The change of the monthly bill in whole units, for a column: `+$9,702/mo`, `unknown`, `$125,000 once`."""
    if cost.per_month == 0 and cost.one_off:
        return f"{human_money(cost.one_off.quantize(Decimal(1)), cost.currency)} once"
    whole = cost.per_month and cost.per_month.quantize(Decimal(1))
    money = change_money(cost.model_copy(update={"per_month": whole}))
    return money if money == "unknown" else f"{money}/mo"


def change(proposal: "Proposal") -> str:
    """From what to what, a thing that stays the same named once: `6 → 10 consumers`."""
    before, after = safe(proposal.from_, 60), safe(proposal.to, 60)
    number, _, thing = before.partition(" ")
    return f"{number if thing and thing == after.partition(' ')[2] else before} → {after}"


def advice_line(recommendation: "Recommendation", width: int | None = None) -> str:
    """A recommendation in a line: `SCALE OUT consumer group billing · 4 → 7 brokers · +$9,702/mo`.

    In `width` cells what is changed is cut, the price is whole; an unknown one is left out before.
    """
    proposal, cost = recommendation.proposal, recommendation.proposal.cost
    what = f"{kind(recommendation)} {safe(proposal.target, 60)} · {change(proposal)}"
    priced = " · cost unknown" if cost.per_month is None else f" · {change_money(cost)}/mo"
    if cost.one_off != 0:
        priced += f", one-off {human_money(cost.one_off, cost.currency)}"
    if width is None or cell_len(what + priced) <= width:
        return what + priced
    short = "" if cost.per_month is None else f" · {monthly(cost)}"
    return fit(what, width - cell_len(short)).rstrip() + short


def kind(recommendation: "Recommendation") -> str:
    """The kind of a recommendation as shown: `SCALE OUT`."""
    return recommendation.proposal.kind.replace("_", " ").upper()


def spark(history: Sequence[tuple[int, float | None]], width: int) -> str:
    """The known past in at most `width` blocks, each the mean of its share, a gap a blank; empty below two values."""
    found = shares(tuple(history), width, fmean)
    values = [value for value in found if value is not None]
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BLOCKS) - 1) / ((high - low) or 1)
    return "".join(" " if value is None else _BLOCKS[int((value - low) * scale)] for value in found)
