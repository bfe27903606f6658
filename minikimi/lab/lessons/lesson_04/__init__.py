"""Lesson 04, Pixel shuffle and the projector: a file for each exercise, named after what it asks for."""
