"""What every task keeps to, as checks that run against any task, shipped or not.

`embodied check-task` runs them and tests/test_contract.py does, over the registry.
"""
