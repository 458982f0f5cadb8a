"""What the code may look like: layers, names, clocks, docstrings, sizes."""
