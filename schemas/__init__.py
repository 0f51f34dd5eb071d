"""The vocabulary that the write side and the read side share; it imports nothing of ours."""
