"""The ten phases from memory to PostgreSQL, the switch of reads, and the way back."""
