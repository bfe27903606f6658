"""Training: the table of stages, one Lightning module, its objectives, and the pipeline (lessons 10 to 14)."""
