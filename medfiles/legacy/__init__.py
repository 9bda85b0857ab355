"""Moves the files of the older lab-results feature over, so that nothing is lost and everything can be taken back.

The steps stand in modules of their own and are done by `migration` in order: analysis, backup, people, moving,
verification. Each can be killed anywhere and done again. `finishing` and `rollback` are the two ways it ends.
"""
