"""The experiments: what the losses are worth on classes never seen.

`omniglot.py`, `cifar100.py`, `cifar10.py` and `speakers.py` are the commands. The first is made of `episodes/`, the
others of `comparison/`; both train by `train.py` the `encoders/` with `losses.py` on `data/`. What they found is in
`results/` (`collected.py`), and `table.py` writes it into the documents.
"""
