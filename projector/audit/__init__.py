"""Proof that memory, the log and the tables agree, at one position."""
