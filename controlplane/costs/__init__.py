"""Price books, priced changes and what inventories cost; an unknown price stays unknown. Pure."""

from controlplane.costs.book import parse_price_book, read_price_book
from controlplane.model.prices import PriceBook, free_line, gb_per_month
from controlplane.model.recommendations import total

__all__ = ["PriceBook", "free_line", "gb_per_month", "parse_price_book", "read_price_book", "total"]
