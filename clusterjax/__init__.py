"""Cluster validity as pure JAX functions: measure it, choose k by it, train on it, judge unseen classes with it.

    from clusterjax import adjusted_rand_score, silhouette_score, suggest_k, sweep_k, losses, fewshot

    silhouette_score(x, labels)                                     # how good are these clusters?
    suggest_k(sweep_k(key, x, ks=range(2, 21)))                     # how many are there?
    jax.grad(losses.silhouette_loss)(x, labels, num_clusters=10)    # train an embedding on that
    fewshot.evaluate(key, x, labels, way=20, shot=1)                # how well does it know new classes?
    adjusted_rand_score(classes, labels)                            # how well does it match known ones?

Every function is `f(x, labels, *, num_clusters=None, where=None, metric="euclidean", ...)`:

    x [n, d]      n points of d features, a row a point; or distances [n, n] with metric="precomputed"
    labels [n]    integers in [0, k); a negative label belongs to no cluster and takes no part
    where [n]     False takes no part either: masked equals removed, whatever the row holds, NaN included
    num_clusters  k, static; found from the labels where their values are known, so needed under jit, vmap and grad
                  only when labels are traced
    metric        a name, `distances.mahalanobis(...)`, or any function of two vectors that JAX can trace

Arrays may be lists, Series or of any integer width. A plain function checks what can be known, then calls a jitted
kernel: nothing is traced twice for equal shapes. jit,
vmap, grad and masks work everywhere; the silhouettes take O(n * block) memory, and outside of a trace few of all pairs.
Undefined is a ValueError where values are known and NaN where they are traced; NaN in, NaN out.

The idea behind it: labels and a mask become one matrix of weights w [n, k], one-hot rows, and zero rows for who takes
no part. The silhouette is then `D @ w` and `w.sum(0)`, soft assignments need no other code, and an index is a loss
without being written twice. Modules, each importing only from those before it:

    typing        the named axes
    distances     metrics between blocks; the only square root, the only epsilon
    arguments     what a user passes, as arrays and static numbers, or refused in a sentence
    partition     the only label algebra: weights, centroids
    public        a public function made from its kernel, a formula on a partition
    progress      where a long computation stands
    threads       small repetitions side by side on the cores of a CPU
    tiles         every unordered pair of points once, in blocks
    by_cluster    sums and extremes of distances by cluster, and what is special to a metric
    some_pairs    distances between points and the members of some clusters
    bounds        which clusters can be the nearest to a point
    nearest       the silhouette's two mean distances by those, where values are known: not all pairs
    agreement     how well does it match known classes: pairs, information, matching
    indices       how good is this clustering: the silhouette by point, by cluster, over all; simplified, soft, of a
                  sample; Calinski-Harabasz, Davies-Bouldin, Xie-Beni, Dunn; and INDICES, which lists what there is
    clustering    find clusters: k-means, k-medoids; labels that come from elsewhere
    selection     how many: the gap statistic, rules, elbow, stability; every k in one sweep, and its votes
    losses        any index as a loss; silhouettes; pairs, class vectors, episodes, clusters of its own
    retrieval     are the nearest neighbours of a point of its class? precision at 1, MAP@R, recall at k
    drawing       rows by their class, for the two that follow
    samplers      batches: P classes with K points each, or every class as likely
    fewshot       episodes, prototypes, accuracy with intervals
"""

from __future__ import annotations

from clusterjax import agreement, clustering, distances, fewshot, losses, retrieval, samplers, selection
from clusterjax.agreement import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    clustering_accuracy,
    completeness_score,
    fowlkes_mallows_score,
    homogeneity_completeness_v_measure,
    homogeneity_score,
    mutual_info_score,
    normalized_mutual_info_score,
    pair_f_score,
    purity_score,
    rand_score,
    v_measure_score,
)
from clusterjax.clustering import kmeans, kmedoids
from clusterjax.distances import pairwise_distances
from clusterjax.indices import (
    INDICES,
    Index,
    SilhouetteSummary,
    calinski_harabasz_score,
    davies_bouldin_score,
    dunn_index,
    silhouette_cost,
    silhouette_estimate,
    silhouette_samples,
    silhouette_score,
    silhouette_summary,
    simplified_silhouette_score,
    soft_silhouette_score,
    xie_beni_index,
)
from clusterjax.selection import gap_statistic, max_se, suggest_k, sweep_k

__all__ = [
    "INDICES",
    "Index",
    "SilhouetteSummary",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "agreement",
    "calinski_harabasz_score",
    "clustering",
    "clustering_accuracy",
    "completeness_score",
    "davies_bouldin_score",
    "distances",
    "dunn_index",
    "fewshot",
    "fowlkes_mallows_score",
    "gap_statistic",
    "homogeneity_completeness_v_measure",
    "homogeneity_score",
    "kmeans",
    "kmedoids",
    "losses",
    "max_se",
    "mutual_info_score",
    "normalized_mutual_info_score",
    "pair_f_score",
    "pairwise_distances",
    "purity_score",
    "rand_score",
    "retrieval",
    "samplers",
    "selection",
    "silhouette_cost",
    "silhouette_estimate",
    "silhouette_samples",
    "silhouette_score",
    "silhouette_summary",
    "simplified_silhouette_score",
    "soft_silhouette_score",
    "suggest_k",
    "sweep_k",
    "v_measure_score",
    "xie_beni_index",
]
