"""Kinds derived from an entity type alone: table, handler, schema and state-carrying event."""
