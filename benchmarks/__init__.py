"""How long the heavy parts take and how much memory they need: `python -m benchmarks [NAME …] [--json]`."""
