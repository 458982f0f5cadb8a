"""Who is on call when: rotations, calendar files and feeds become shifts, and shifts become facts in the log."""
