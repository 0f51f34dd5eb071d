"""Tampering with each of the four places, one seeded position at a time; what the audit says."""
