"""Backtests: the whole pipeline over recorded samples, without stores and without sending anything."""
