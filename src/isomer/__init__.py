"""Isomer: zero-shot video object segmentation."""
