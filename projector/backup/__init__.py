"""Backups of a projection with its control tables, and the way back from one."""
