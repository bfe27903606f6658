"""Lesson 02, 2-D RoPE and interpolated positions: a file for each exercise, named after what it asks for."""
