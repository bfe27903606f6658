"""Training: one Lightning module, two objectives, and the pipeline that runs the stages (lessons 10, 11 and 13)."""
