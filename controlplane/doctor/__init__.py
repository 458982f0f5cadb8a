"""Does it work? Every part is tried as a tick would use it, and what fails comes with what to do."""
