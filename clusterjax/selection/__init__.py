"""How many clusters? Every k in one program, and the rules by which criteria choose among them."""

from __future__ import annotations

from clusterjax.selection.rules import Elbow, elbow, max_se

__all__ = ["Elbow", "elbow", "max_se"]
