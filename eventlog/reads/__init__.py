"""Reads of an app through memferry: from memory, from memory with the tables compared, or from the
tables.
"""
