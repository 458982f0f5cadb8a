"""How money is printed: bills, explanations and comparisons as tables."""

from decimal import Decimal
from typing import TYPE_CHECKING

from controlplane.cli.output import console, table, tell
from controlplane.model.money import human_money

if TYPE_CHECKING:
    from controlplane.cli.priced import Priced
    from controlplane.costs.bill import Bill, Line
    from controlplane.costs.compare import Comparison
    from controlplane.costs.explain import Explanation, Reckoned
    from controlplane.model.recommendations import PriceSource


def print_bill(priced: "Priced", made: "Bill") -> None:
    """What a platform costs: lines, what isn't priced, and the totals."""
    out, sources = console(), _Sources()
    rows: list[tuple[object, ...]] = [
        (
            component.name,
            _item(line, sources),
            _product(line),
            human_money(line.per_month),
            human_money(line.per_month_reserved),
            human_money(line.one_off),
        )
        for component in made.components
        for line in component.lines
    ]
    columns = ("Component", "Item [price from]", "Quantity × price", "Per month", "Reserved", "Once")
    amounts = ("Per month", "Reserved", "Once")
    title = f"{made.platform}: inventory: {priced.inventory}, prices: {priced.prices}"
    out.print(table(title, columns, rows, right=amounts, whole=amounts))
    sums = made.sums
    tell(f"On demand          {sums.per_month.told()} a month, {sums.per_year.told()} a year")
    tell(f"With reservations  {sums.per_month_reserved.told()} a month, {sums.per_year_reserved.told()} a year")
    once = f"Bought once        {sums.one_off.told()}"
    if sums.spread is None:
        tell(once + "; the price book doesn't spread it over months (amortise_months)")
    else:
        tell(f"{once}; over {made.amortise_months} months {sums.spread.told()} a month")
        tell(f"All of it          {sums.whole_per_month.told()} a month, {sums.whole_per_year.told()} a year")
    for entry in made.included:
        tell(f"paid for with {entry.paid_with}: {entry.component} ({_some(entry.resources)})")
    for line in made.unknown:
        tell(f"unknown: {line.component}: {_some(line.resources) or line.item}: {line.note}")
    sources.tell()
    tell("")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


class _Sources:
    """Where prices come from, numbered in the order in which they are met."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def mark(self, source: "PriceSource | None") -> str:
        if source is None:
            return ""
        text = ", ".join(part for part in (source.document, source.section, source.date) if part)
        return f" [{self.known.setdefault(text, len(self.known) + 1)}]"

    def tell(self) -> None:
        for text, number in self.known.items():
            tell(f"[{number}] {text}")


def _item(line: "Line | Reckoned", sources: _Sources) -> list[str]:
    return [line.item + sources.mark(line.source), *([line.note] if line.note else [])]


def _product(line: "Line | Reckoned") -> str:
    quantity = "?" if line.quantity is None else f"{line.quantity.normalize():f}"
    if line.price is None:
        return quantity
    return f"{quantity} × {_price(line.unit_amount)} {line.unit}"


def _price(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:f}"


def print_explanation(made: "Explanation") -> None:
    """One recommendation's money."""
    out, sources = console(), _Sources()
    rows: list[tuple[object, ...]] = [
        (
            _item(line, sources),
            _product(line) + (f" × {line.times}" if line.price is not None and line.times != "1" else ""),
            human_money(line.per_month),
            human_money(line.per_month_reserved),
            human_money(line.one_off),
        )
        for line in made.lines
    ]
    columns = ("Item [price from]", "Quantity × price × time", "Per month", "Reserved", "Once")
    amounts = ("Per month", "Reserved", "Once")
    title = f"{made.title} ({made.recommendation}, version {made.version}); negative = saved"
    out.print(table(title, columns, rows, right=amounts, whole=amounts))
    tell(f"On demand          {made.per_month.told()} a month, {made.per_year.told()} a year")
    tell(f"With reservations  {made.per_month_reserved.told()} a month, {made.per_year_reserved.told()} a year")
    tell(f"Once               {made.one_off.told()}")
    tell(f"Pays back          {made.payback.told}")
    if made.payback_reserved.told != made.payback.told:
        tell(f"  reserved         {made.payback_reserved.told}")
    for cost in made.capacity:
        often = "a month" if cost.paid == "per_month" else "once"
        capacity = f"{cost.capacity_before:f} → {cost.capacity_after:f}"
        tell(
            f"Per {cost.unit}: {human_money(cost.before)} → {human_money(cost.after)} {often}"
            + (f", {human_money(cost.added)} for each that is added" if cost.added is not None else "")
            + f" ({cost.what}: {capacity}; {cost.basis})"
        )
    for item in made.unknown:
        tell(f"unknown: the price of {item}")
    tell(f"Doing nothing: {made.do_nothing}")
    sources.tell()


def print_comparison(priced: "Priced", made: "Comparison") -> None:
    """Ways to buy an inventory, side by side."""
    out = console()
    rows: list[tuple[object, ...]] = [
        (
            way.title,
            way.common.told(),
            "–" if way.over_cheapest is None else human_money(way.over_cheapest),
            way.common_per_year.told(),
            way.full.told() + (" and what is bought once" if way.unspread else ""),
            way.one_off.told(),
        )
        for way in made.ways
    ]
    columns = ("Way to buy it", "Like for like, a month", "Over the cheapest", "A year", "All it has, a month", "Once")
    title = f"{made.platform}: inventory: {priced.inventory}"
    out.print(table(title, columns, rows, right=columns[1:]))
    scopes = [(scope, *(_month(month) for month in by_way.values())) for scope, by_way in made.months.items()]
    out.print(table("A month of each scope", ("Scope", *(way.title for way in made.ways)), scopes))
    tell(f"Like for like are {len(made.scopes)} of {len(made.months)} scopes: {', '.join(made.scopes) or 'none'}")
    for way in made.ways:
        if way.unspread:
            tell(f"not compared: {way.title}: its book doesn't spread what is bought once (amortise_months)")
    titles = {way.way: way.title for way in made.ways}
    grouped: dict[tuple[str, str], list[str]] = {}
    for lack in made.lacks:
        grouped.setdefault((lack.scope, lack.reason), []).append(titles[lack.way])
    for (scope, reason), names in grouped.items():
        tell(f"not compared: {scope}: {reason}: {'; '.join(names)}")
    tell("")


def _month(amount: object) -> str:
    told = getattr(amount, "told", None)
    return "–" if told is None else str(told())
