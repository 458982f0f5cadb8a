"""The control plane watches itself: what it knows of its ticks, metrics and health over HTTP, and heartbeats."""
