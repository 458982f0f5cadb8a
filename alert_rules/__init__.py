"""Signals and rules of every pack, one YAML file per component, in `alert_rules/<platform>/`."""
