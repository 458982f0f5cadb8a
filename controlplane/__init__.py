"""Event-sourced control plane: telemetry in, alerts, priced recommendations and pages out."""

__version__ = "0.1.0"
