"""The terminal of the on-call engineer: alerts, what is advised about them, and the health of the sources."""
