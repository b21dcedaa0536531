"""How many clusters? Every k in one program, and the rules by which criteria choose among them."""

from __future__ import annotations

from clusterjax.selection.bootstrap import (
    BootstrapInstability,
    ClusterStability,
    bootstrap_instability,
    cluster_stability,
)
from clusterjax.selection.gap import GapResult, gap_statistic
from clusterjax.selection.rules import Elbow, elbow, max_se
from clusterjax.selection.stability import PredictionStrength, prediction_strength
from clusterjax.selection.sweep import SweepResult, sweep_k
from clusterjax.selection.votes import Suggestion, suggest_k

__all__ = [
    "BootstrapInstability",
    "ClusterStability",
    "Elbow",
    "GapResult",
    "PredictionStrength",
    "Suggestion",
    "SweepResult",
    "bootstrap_instability",
    "cluster_stability",
    "elbow",
    "gap_statistic",
    "max_se",
    "prediction_strength",
    "suggest_k",
    "sweep_k",
]
