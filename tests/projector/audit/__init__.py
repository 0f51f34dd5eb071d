"""Tests of the audit's witnesses."""
