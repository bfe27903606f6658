"""Lesson 05, Multi-head latent attention: a file for each exercise, named after what it asks for."""
