"""The data sets: classes to learn from, to choose by and to report on. The rest of the experiments enters here.

`omniglot.py` and `glyphs.py` are a data set each, `characters.py` what they have in common and how it is split;
`cifar.py` (two of them), `digits.py` and `pictures.py` likewise. `finding.py`, `fetching.py` and `cache.py` say where
they are looked for, how they come and stay, and `loading.py` chooses.
"""

from experiments.data import pictures
from experiments.data.characters import Characters, Dataset, Part, merge
from experiments.data.errors import DataError
from experiments.data.loading import load, load_pictures, load_whole

__all__ = ["Characters", "DataError", "Dataset", "Part", "load", "load_pictures", "load_whole", "merge", "pictures"]
