"""Lesson 06, Mixture of experts and its routing: a file for each exercise, named after what it asks for."""
