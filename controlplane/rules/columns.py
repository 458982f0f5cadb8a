"""Labels of series as columns, and columns as labels again."""

import polars as pl


def label(name: str) -> pl.Expr:
    """One label out of the column `labels`, `""` where there is none."""
    return pl.col("labels").str.json_decode(pl.Struct({name: pl.String})).struct.field(name).fill_null("")


def as_labels(**fields: pl.Expr) -> pl.Expr:
    """Canonical JSON of labels: the names come in text order, empty ones are left out."""
    pairs = []
    for name, value in sorted(fields.items()):
        # A struct with one field encodes to {"name":…}; its inside is the quoted pair.
        pair = pl.struct(value.alias(name)).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        pairs.append(pl.when(value != "").then(pair))
    return pl.concat_str(pl.lit("{"), pl.concat_str(pairs, separator=",", ignore_nulls=True), pl.lit("}"))
