"""Plots as inline SVG, drawn by Python: no script, no file beside. The page gives the colours."""
