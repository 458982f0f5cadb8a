"""What the operator does: commands sent once and told of, and what is read of what he types."""
