"""Smaller programs that still show a fault: passes propose, one door decides."""
