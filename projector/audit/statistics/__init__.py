"""The mathematics of the statistical level: streaming, in bounded memory, in plain Python."""
