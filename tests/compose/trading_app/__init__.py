"""Tests of the sample trading app."""
