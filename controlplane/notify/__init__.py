"""From alert events to delivered pages: grouping, routing, outbox, channels."""
