"""Kill everything, at random but repeatably, under load; then prove from outside that nothing was lost.

`python -m chaos --db sqlite --seed 1` plays one round (see README.md); `chaos.checker` is the judge, which looks
only at the files in the round's folder and at the public API.
"""
