"""Collectors (Prometheus, Kafka, inventory, recorded) and the sample store."""
