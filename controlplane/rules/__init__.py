"""Read, compile and evaluate rules: YAML → model → Polars → transitions. Pure but for the reader."""
