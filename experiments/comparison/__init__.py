"""Which loss makes clean clusters of classes it never saw? One encoder, one budget of tuning, many losses.

`settings.py` says what a table depends on, `material.py` what encoders see, `training.py` and `judging.py` how an
embedding comes and what is asked of it, `tuning.py` how each loss gets its settings. `compare.py` runs all of it for
one split, `ledger.py` keeps what was found, `tables.py` and `pictures.py` show it, and `command.py` is what a user
starts.
"""
