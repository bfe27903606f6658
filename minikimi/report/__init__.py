"""The report card of a run: one page that shows what was trained, what was learnt, and where it fails (lesson 15)."""
