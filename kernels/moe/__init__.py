"""The routed experts: router, sorting, grouped products, SwiGLU in their epilogues, decoding (lessons 06 and 16)."""
