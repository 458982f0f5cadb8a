"""Which machine runs on which host: whether all fit, how few hosts it takes, what moves, what a lost one does. Pure."""
