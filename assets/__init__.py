"""Dagster: assets, checks, schedules and resources. No decision lives here."""
