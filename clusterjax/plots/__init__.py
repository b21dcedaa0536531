"""Pictures of clusters, of sweeps, of embeddings and of episodes: each takes axes or makes them, and returns them.

They need the extra `plots`. Colours are those of Okabe and Ito, which the colour-blind can tell apart; nothing is said
by colour alone.
"""

from __future__ import annotations

from clusterjax.plots.clusters import silhouette_plot, silhouette_points_plot
from clusterjax.plots.embeddings import embedding_plot
from clusterjax.plots.episodes import episode_plot
from clusterjax.plots.sweeps import cluster_tree_plot, sweep_plot, votes_plot

__all__ = [
    "cluster_tree_plot",
    "embedding_plot",
    "episode_plot",
    "silhouette_plot",
    "silhouette_points_plot",
    "sweep_plot",
    "votes_plot",
]
