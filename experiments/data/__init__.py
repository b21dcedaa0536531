"""The data sets: classes to learn from, to choose by and to report on. The rest of the experiments enters here.

`omniglot.py` and `glyphs.py` are a data set each, `characters.py` what they have in common and how it is split,
`fetching.py` and `cache.py` how they come and stay, and `loading.py` chooses.
"""

from experiments.data.characters import Characters, Dataset, Part, merge
from experiments.data.errors import DataError
from experiments.data.loading import load

__all__ = ["Characters", "DataError", "Dataset", "Part", "load", "merge"]
