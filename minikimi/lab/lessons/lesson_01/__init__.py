"""Lesson 01, Patches and NaViT packing: a file for each exercise, named after what it asks for."""
