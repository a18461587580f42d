"""Figures of no paper: what was tried to see whether the labels are right."""
