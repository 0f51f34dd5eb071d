"""Damaged places of the log: what would let their lanes go on, and the decision to."""
