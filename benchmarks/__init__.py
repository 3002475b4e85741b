"""Measurements, as ratios within one run. Read the ratios, not the absolute times."""
