"""Domains that none of memferry's code knows."""
