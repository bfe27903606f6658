"""Multi-head latent attention: packed training and prefill, and decoding over the cache (lessons 05 and 16)."""
