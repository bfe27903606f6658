"""The real benchmarks, through `datasets`: MMMU, MMBench, MathVista, InfoVQA, ScreenSpot, MMLongBench-Doc, EgoSchema
(lesson 15).

Reading order: `item.py` what a question and its score are; `choices.py`, `open_answers.py`, `mathvista.py`,
`distance.py`, `mmlongbench.py`, `screenspot.py` the scoring rules; `rows.py` and `media.py` where data comes from;
`references.py` what is right, checked before anything is asked; `adapters.py` from a row to questions; `harness.py` the
run. Ids, splits, prompts and the programs followed are in `configs/benchmarks.yaml`.

Every item has two scores. `official` equals a named program and version, with its leniency (and its dice, seeded by the
item); each module says which, and where programs or the paper differ. `strict` is that *and* the law of answers that
the rest of this project lives by (`minikimi/answers.py`), without dice: what cannot be read is wrong, and `strict`
never exceeds `official`. Where the published rule asks a language model to find the answer, we use a rule and say so
(`judge: none`). OSWorld needs live virtual machines and is not here: the desktop of the picture world stands in for it
(`minikimi/evaluation/episodes.py`).
"""
