"""What the model says in words and numbers: pure functions from rows to rich renderables.

Text from outside goes through `safe` into `Text`, which never parses markup.
"""
