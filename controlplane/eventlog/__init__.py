"""The append-only event log: append, read, verify, and projections in the same transaction."""
