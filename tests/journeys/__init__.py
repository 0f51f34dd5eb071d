"""Whole journeys on the real stack: real processes, real data, kill -9."""
