"""Headway's benchmark: every row of the performance table, for Headway and for the reference, side by side."""
