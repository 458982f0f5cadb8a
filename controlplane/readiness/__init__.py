"""If it died now: who takes over, what is lost, and whether the rest carries the load. Frames in, frames out."""
