"""Tests of what single phases have of their own."""
