"""Lesson 08, Muon, an optimizer for matrices: a file for each exercise, named after what it asks for."""
