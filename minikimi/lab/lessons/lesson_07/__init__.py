"""Lesson 07, Kimi-VL assembled: a file for each exercise, named after what it asks for."""
