"""Lesson 03, MoonViT: a file for each exercise, named after what it asks for."""
