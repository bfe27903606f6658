"""The papers' claims, measured again at toy scale: one claim a file, each with a verdict that can be "no" (lesson 15).

`minikimi findings` runs them. Reading order: finding.py, bench.py, texts.py, then any of the findings.
"""
