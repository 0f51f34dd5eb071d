"""Recorded collections: a dict, list or deque whose every change is an event."""
