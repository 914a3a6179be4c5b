"""The questions a marketer asks, what answers them, and what the answers cost.

`python -m tests.questions.renew` writes the costs anew; `peers` is run by hand.
"""
