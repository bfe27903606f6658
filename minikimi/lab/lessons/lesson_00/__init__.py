"""Lesson 00, A tour of a model that sees: a file for each exercise, named after what it asks for."""
