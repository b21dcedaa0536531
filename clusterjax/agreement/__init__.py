"""How well does a clustering match known classes? Measures of two labelings of the same points, one family a file.

Every function is `f(labels_true, labels_pred, *, num_classes=None, num_clusters=None, where=None, ...)`. All of them
are functions of one table: how many points of each class are in each cluster.
"""

from __future__ import annotations

from clusterjax.agreement.information import (
    VMeasure,
    adjusted_mutual_info_score,
    completeness_score,
    homogeneity_completeness_v_measure,
    homogeneity_score,
    mutual_info_score,
    normalized_mutual_info_score,
    v_measure_score,
    variation_of_information,
)
from clusterjax.agreement.matching import BCubed, bcubed_score, clustering_accuracy, purity_score
from clusterjax.agreement.pairs import (
    PairCounts,
    PairFScore,
    adjusted_rand_score,
    fowlkes_mallows_score,
    jaccard_score,
    pair_counts,
    pair_f_score,
    pair_score,
    rand_score,
)

__all__ = [
    "BCubed",
    "PairCounts",
    "PairFScore",
    "VMeasure",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "bcubed_score",
    "clustering_accuracy",
    "completeness_score",
    "fowlkes_mallows_score",
    "homogeneity_completeness_v_measure",
    "homogeneity_score",
    "jaccard_score",
    "mutual_info_score",
    "normalized_mutual_info_score",
    "pair_counts",
    "pair_f_score",
    "pair_score",
    "purity_score",
    "rand_score",
    "v_measure_score",
    "variation_of_information",
]
