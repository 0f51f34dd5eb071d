"""Going back and forth: targets, savepoints, and replay of a projection to a position."""
