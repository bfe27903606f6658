"""Inference: tokens out of a model, one after another (lessons 05 and 17).

Reading order: `request.py` what is asked and answered, `sampling.py` from logits to a token, `scheduler.py` who runs when,
`runner.py` the model's side, `engine.py` all of it, `generate.py` and `conversation.py` two who use it; then `lens.py`, what a
pass looked at, and `server.py` with its page.
"""
