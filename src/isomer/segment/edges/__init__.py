"""Edges at the resolution of the picture: borders that follow it, and opacity where a pixel is of two things."""
