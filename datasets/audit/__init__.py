"""The audit of a dataset: PASS, REVIEW or EXCLUDE for each episode, with reasons.

`audit(path)` reads a file twice: first it computes statistics over all episodes
(`facts`), then it checks the episodes one by one (`table.CHECKS`). The thresholds are in
`thresholds`.
"""
