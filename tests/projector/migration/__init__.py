"""Tests of the migration on the real stack."""
