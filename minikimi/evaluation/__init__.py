"""Evaluation: what the model has learnt, beside three answers that cannot see (lesson 15).

Reading order: `scoring.py` right or wrong, `asking.py` how questions are put, `minis.py` the seven mini-benchmarks,
`episodes.py` the desktop, `needle.py` long texts, `scaling.py` accuracy against thinking, `run.py` all of it and the
format of its files, `gallery.py` samples, `table.py` the printed table, `report.py` the page. `benchmarks/` holds the
real ones.
"""
