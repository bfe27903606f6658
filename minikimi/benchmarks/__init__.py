"""The real benchmarks, through `datasets`: MMMU, MMBench, MathVista, InfoVQA, ScreenSpot, MMLongBench-Doc, EgoSchema
(lesson 15).

Reading order: `item.py` what a question and its score are; `choices.py`, `open_answers.py`, `mathvista.py`,
`distance.py`, `mmlongbench.py`, `screenspot.py` the scoring rules; `rows.py` and `media.py` where data comes from;
`adapters.py` from a row to questions; `harness.py` the run. Ids, splits and prompts are in `configs/benchmarks.yaml`.

Every item has two scores. `official` follows the benchmark's own program, with its leniency (and its dice, seeded by
the item). `strict` has neither: what cannot be read is wrong. Where the published rule asks a language model to find
the answer, we use a rule and say so (`judge: none`). OSWorld needs live virtual machines and is not here: the desktop
of the picture world stands in for it (`minikimi/evaluation/episodes.py`).
"""
