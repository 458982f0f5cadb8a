"""One screen a file; each shows the newest snapshot and decides nothing."""
