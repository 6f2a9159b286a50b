"""The audit of a dataset: PASS, REVIEW or EXCLUDE for each episode, with reasons.

`audit(path)` reads a file twice: once for what its episodes have in common (`facts`), and
once to check them one by one (`table.CHECKS`). Thresholds stand in `thresholds`.
"""
