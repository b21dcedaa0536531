"""Pictures hold what they are given: bars, points, frames, marks. How they look is for eyes."""

from __future__ import annotations

import sys
from itertools import pairwise

import matplotlib

matplotlib.use("agg")

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.offsetbox import AnnotationBbox, OffsetImage, TextArea
from matplotlib.patches import ConnectionPatch, Rectangle, StepPatch
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from clusterjax import plots
from clusterjax.plots import episodes, plane, style
from clusterjax.selection import GapResult, SweepResult


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels_of(ax):
    return [artist for artist in ax.artists if isinstance(artist, AnnotationBbox)]


def shown_text(ax):
    return [label.offsetbox.get_text() for label in labels_of(ax) if isinstance(label.offsetbox, TextArea)]


def blobs(classes, spread, each=12):
    """Classes around random middles of the unit square."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), each)
    return rng.random((classes, 2))[labels] + rng.normal(0, spread, (len(labels), 2)), labels


def test_silhouette_bars_are_sorted_within_their_cluster():
    values, labels = np.array([0.1, 0.9, -0.2, 0.5, 0.4, 0.3]), np.array([1, 4, 1, 4, 1, -1])
    ax = plots.silhouette_plot(values, labels)
    (first, first_edges, _), (second, second_edges, _) = (p.get_data() for p in ax.patches if isinstance(p, StepPatch))
    assert_allclose(first, [0.4, 0.1, -0.2])
    assert_allclose(second, [0.9, 0.5])
    assert second_edges[0] > first_edges[-1]
    assert_allclose(
        np.asarray(ax.lines[0].get_xdata()), np.mean([0.1, 0.9, -0.2, 0.5, 0.4])
    )  # noise is not in the mean
    assert [text.get_text() for text in ax.get_yticklabels()] == ["1", "4"]
    beside = ax.child_axes[0]
    ax.figure.canvas.draw()
    assert [text.get_text() for text in beside.get_yticklabels()] == ["3 | 0.10", "2 | 0.70"]


def test_names_of_small_clusters_do_not_lie_on_each_other():
    labels = np.repeat(np.arange(5), (200, 1, 1, 1, 200))
    ax = plots.silhouette_plot(np.full(403, 0.5), labels, ax=plt.subplots(figsize=(5, 4.5))[1])
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_silhouette_of_very_many_clusters_names_some():
    ax = plots.silhouette_plot(np.linspace(0, 1, 400), np.arange(400) // 2)
    assert len(ax.get_yticks()) <= style.MOST_NAMES
    assert len([patch for patch in ax.patches if isinstance(patch, StepPatch)]) == 200


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_embedding_draws_every_point_and_names_every_class(method):
    rng = np.random.default_rng(0)
    labels = np.array([-1, *np.repeat([0, 2, 3], 6)])
    with threadpool_limits(1):  # on a busy machine the threads of scikit-learn wait for each other for minutes
        ax = plots.embedding_plot(rng.normal(size=(19, 5)), labels, method=method, names=["a", "b", "c", "d"])
    assert [len(np.asarray(points.get_offsets())) for points in ax.collections] == [1, 6, 6, 6]
    assert shown_text(ax) == ["a", "c", "d"]


def test_embedding_of_two_coordinates_is_drawn_as_it_is():
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    ax = plots.embedding_plot(points, [0, 0, 1])
    assert_array_equal(ax.collections[1].get_offsets(), points[:2])
    assert ax.get_title() == "3 points, 2 classes"


def test_pca_keeps_the_distances_of_points_on_a_plane():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(9, 2))
    points = flat @ np.linalg.qr(rng.normal(size=(6, 2)))[0].T + 5
    ax = plots.embedding_plot(points, np.zeros(9, int), method="pca")
    drawn = np.asarray(ax.collections[1].get_offsets())
    expected = np.linalg.norm(flat[:, None] - flat, axis=-1)
    assert_allclose(np.linalg.norm(drawn[:, None] - drawn, axis=-1), expected, rtol=1e-5, atol=1e-6)


def test_classes_differ_in_colour_or_shape():
    ax = plots.embedding_plot(np.random.default_rng(0).normal(size=(48, 2)), np.arange(48))
    looks = {
        (np.asarray(points.get_facecolor()).tobytes(), np.asarray(points.get_paths()[0].vertices).tobytes())
        for points in ax.collections[1:]
    }
    assert len(looks) == 48


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3)])
def test_a_class_is_shown_by_its_image_in_the_middle(shape):
    points = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [9.0, 9.0]])
    images = np.zeros((4, *shape))
    images[1] = 1
    ax = plots.embedding_plot(points, [0, 0, 0, 1], images=images)
    shown = [np.asarray(s.offsetbox.get_data()) for s in labels_of(ax) if isinstance(s.offsetbox, OffsetImage)]
    assert [image.shape for image in shown] == [(8, 6, 3)] * 2
    ink = 1 if shape[-1] == 3 else 0  # one channel is ink, drawn black on white
    assert_array_equal(shown[0], ink)
    assert_array_equal(shown[1], 1 - ink)


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize(
    ("classes", "spread", "side"), [(1, 0.1, 7), (6, 0.02, 7), (20, 0.3, 7), (45, 0.05, 7), (45, 0.05, 3)]
)
def test_no_label_lies_on_another_and_every_line_ends_at_its_class(classes, spread, side, pictures):
    points, labels = blobs(classes, spread)
    names = [f"class number {label}" for label in range(classes)]
    ax = plt.subplots(figsize=(side, side))[1]
    plots.embedding_plot(points, labels, images=np.ones((len(labels), 9, 9)) if pictures else None, names=names, ax=ax)
    ax.figure.canvas.draw()
    boxes = [label.patch.get_window_extent() for label in labels_of(ax)]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = ax.get_window_extent()
    assert all(frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1 for box in boxes)
    lines = [artist for artist in ax.patches if isinstance(artist, ConnectionPatch)]
    assert 1 <= len(lines) == len(boxes) <= classes
    if side == 7:
        assert len(boxes) == classes  # there is room
    for line, label in zip(lines, labels_of(ax), strict=True):
        (own,) = np.unique(labels[(points == line.xy2).all(1)])
        if isinstance(label.offsetbox, TextArea):
            assert label.offsetbox.get_text() == names[own]
        assert to_hex(line.get_edgecolor()) == to_hex(label.patch.get_edgecolor())
        assert to_hex(line.get_edgecolor()).upper() == style.COLOURS[own % len(style.COLOURS)]
        assert label.patch.get_window_extent().contains(*ax.transAxes.transform(line.xy1))


def test_labels_stand_beside_the_points():
    points, labels = blobs(20, 0.01)
    ax = plots.embedding_plot(points, labels, images=np.ones((len(labels), 9, 9)))
    ax.figure.canvas.draw()
    places = ax.transData.transform(points)
    boxes = [label.patch.get_window_extent() for label in labels_of(ax)]
    assert not any(((places > box.min) & (places < box.max)).all(1).any() for box in boxes)
    lines = [artist for artist in ax.patches if isinstance(artist, ConnectionPatch)]
    far = [np.linalg.norm(ax.transAxes.transform(line.xy1) - ax.transData.transform(line.xy2)) for line in lines]
    assert np.mean(far) < 60  # pixels, in a picture of 700


def test_of_very_many_classes_some_are_named():
    points, labels = blobs(200, 0.01, each=2)
    assert 30 <= len(labels_of(plots.embedding_plot(points, labels))) <= style.MOST_NAMES


def test_a_long_name_is_broken_into_lines():
    name = "Old_Church_Slavonic_(Cyrillic)/character25"
    shown = shown_text(plots.embedding_plot(np.eye(2), [0, 1], names=[name, "short"]))
    assert shown[1] == "short"
    assert shown[0].replace("\n", "") == name
    assert max(map(len, shown[0].split("\n"))) <= plane.LONG


def test_names_are_no_mathematics():
    names = [r"$\frac{$", "$a$"]  # the first is an error in mathtext
    axes = [
        plots.silhouette_plot([0.5, 0.2], [0, 1], names=names),
        plots.embedding_plot(np.eye(2), [0, 1], names=names),
        plots.episode_plot(np.ones((2, 1, 3, 3)), np.ones((1, 3, 3)), [1], [0], names=names),
    ]
    for ax in axes:
        ax.figure.canvas.draw()
    assert [text.get_text() for text in axes[0].get_yticklabels()] == names
    assert shown_text(axes[1]) == names
    assert axes[2].texts[0].get_text() == "✗ $a$"
    marks = [*axes[0].get_yticklabels(), *axes[2].get_yticklabels(), *axes[2].texts]
    assert not any(text.get_parse_math() for text in marks)


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_one_coordinate_is_drawn_along_a_line(method):
    points = np.arange(6.0)[:, None]
    ax = plots.embedding_plot(points, np.zeros(6, int), method=method)
    assert_array_equal(ax.collections[1].get_offsets(), np.pad(points, ((0, 0), (0, 1))))
    assert ax.get_title() == "6 points, 1 classes"


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_three_points_lie_on_a_plane(n, method):
    points = np.random.default_rng(0).normal(size=(n, 5))
    ax = plots.embedding_plot(points, np.zeros(n, int), method=method)
    drawn = np.asarray(ax.collections[1].get_offsets())
    expected = np.linalg.norm(points[:, None] - points, axis=-1)
    assert_allclose(np.linalg.norm(drawn[:, None] - drawn, axis=-1), expected, atol=1e-12)
    assert ax.get_title().endswith("(pca)")


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.int8])
def test_points_of_any_dtype_are_drawn(dtype):
    points = np.asarray(jnp.asarray(np.random.default_rng(0).normal(0, 9, (8, 4)), dtype))
    ax = plots.embedding_plot(points, np.zeros(8, int), method="pca")
    same = plots.embedding_plot(points.astype(float), np.zeros(8, int), method="pca")
    assert_array_equal(ax.collections[1].get_offsets(), same.collections[1].get_offsets())


def test_an_episode_tells_right_from_wrong_by_frame_and_by_mark():
    rng = np.random.default_rng(0)
    true, predicted = np.array([1, 0, 0, 1, 2]), np.array([1, 0, 2, 0, 2])
    ax = plots.episode_plot(rng.random((3, 2, 7, 7)), rng.random((5, 7, 7)), predicted, true, names=["a", "b", "c"])
    frames = [to_hex(p.get_edgecolor()).upper() for p in ax.patches if isinstance(p, Rectangle)]
    assert frames.count(style.GIVEN) == 6
    assert frames.count(episodes.RIGHT) == 3
    assert frames.count(episodes.WRONG) == 2
    assert [text.get_text() for text in ax.texts] == ["✓", "✗ c", "✓", "✗ a", "✓"]  # row by row, in query order
    rows = [round(text.get_position()[1] // episodes.ROW) for text in ax.texts]
    assert rows == [0, 0, 1, 1, 2]
    assert ax.get_title() == "3-way 2-shot: 3 of 5 right"


def test_points_are_coloured_by_their_silhouette_and_ringed_below_0():
    rng = np.random.default_rng(0)
    flat, labels = rng.normal(size=(9, 2)), np.array([0, 0, 0, 2, 2, 2, 5, 5, -1])
    values = np.array([0.5, 0.1, -0.2, 0.3, 0.0, 0.2, -0.4, 0.6, np.nan])
    ax = plots.silhouette_points_plot(flat, values, labels, names=list("abcdef"))
    noise, *clusters, rings = ax.collections
    assert_array_equal(noise.get_offsets(), flat[8:])
    for drawn, cluster in zip(clusters, (0, 2, 5), strict=True):
        assert_array_equal(drawn.get_offsets(), flat[labels == cluster])
        assert_array_equal(drawn.get_array(), values[labels == cluster])
        assert drawn.get_clim() == (-0.6, 0.6)  # 0 is in the middle of the colours
    assert_array_equal(rings.get_offsets(), flat[[2, 6]])
    assert len({np.asarray(drawn.get_paths()[0].vertices).tobytes() for drawn in clusters}) == 3
    assert shown_text(ax) == ["a", "c", "f"]
    assert [other.get_ylabel() for other in ax.figure.axes if other is not ax] == ["silhouette"]
    assert ax.get_title() == "9 points, 3 clusters; ringed: 2 below 0"


def test_silhouettes_of_many_features_are_shown_where_the_embedding_is():
    rng = np.random.default_rng(0)
    points, values, labels = rng.normal(size=(12, 5)), np.linspace(-1, 1, 12), np.arange(12) // 6
    ours = plots.silhouette_points_plot(points, values, labels, method="pca")
    theirs = plots.embedding_plot(points, labels, method="pca")
    for one, other in zip(ours.collections[1:3], theirs.collections[1:3], strict=True):
        assert_array_equal(one.get_offsets(), other.get_offsets())
    assert ours.get_title() == "12 points, 2 clusters (pca); ringed: 6 below 0"


def test_silhouettes_that_are_all_0_and_of_very_many_clusters_are_drawn():
    points, labels = blobs(200, 0.01, each=2)
    ax = plots.silhouette_points_plot(points, np.zeros(400), labels)
    assert ax.collections[1].get_clim() == (-1, 1)
    assert 30 <= len(labels_of(ax)) <= style.MOST_NAMES


def test_plots_draw_into_the_axes_they_are_given():
    ax = plt.subplots()[1]
    assert plots.silhouette_points_plot(np.eye(2), [0.5, 0.2], [0, 1], ax=ax) is ax
    sweep = sweep_of(indices={"silhouette": jnp.ones(4)})
    assert plots.sweep_plot(sweep, ax=ax) is plots.votes_plot(sweep, ax=ax) is plots.cluster_tree_plot(sweep, ax=ax)
    assert plots.votes_plot(sweep, ax=ax) is ax
    assert plots.silhouette_plot([0.5, 0.2], [0, 1], ax=ax) is ax
    assert plots.embedding_plot(np.eye(2), [0, 1], ax=ax) is ax
    assert plots.episode_plot(np.ones((2, 1, 3, 3)), np.ones((1, 3, 3)), [0], [0], ax=ax) is ax
    assert len(plt.get_fignums()) == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="every point needs a label"):
        plots.silhouette_plot([0.5, 0.2], [0])
    with pytest.raises(ValueError, match="no point has a cluster"):
        plots.silhouette_plot([0.5, 0.2], [-1, -1])
    with pytest.raises(ValueError, match="unknown method 'mds'"):
        plots.embedding_plot(np.eye(3), [0, 0, 1], method="mds")
    with pytest.raises(ValueError, match="every point needs a label"):
        plots.embedding_plot(np.eye(3), [0, 0])
    with pytest.raises(ValueError, match="every point needs a label"):
        plots.embedding_plot(np.arange(3), [0, 0, 1])
    with pytest.raises(ValueError, match="every point needs a silhouette"):
        plots.silhouette_points_plot(np.eye(2), [0.5], [0, 1])
    with pytest.raises(ValueError, match="every point needs a label"):
        plots.silhouette_points_plot(np.eye(2), [0.5, 0.2], [0])
    for values, labels in (([0.5, np.nan], [0, 0]), ([0.5, 0.2], [-1, -1])):
        with pytest.raises(ValueError, match="there is nothing to colour by"):
            plots.silhouette_points_plot(np.eye(2), values, labels)
    for nothing in (np.empty((0, 3)), np.empty((2, 0)), np.array([[0.0, np.nan], [1.0, 2.0]])):
        with pytest.raises(ValueError, match="there is nothing to draw"):
            plots.embedding_plot(nothing, np.zeros(len(nothing), int))
    with pytest.raises(ValueError, match="every query needs an answer"):
        plots.episode_plot(np.ones((2, 1, 3, 3)), np.ones((2, 3, 3)), [0], [0, 1])


def test_without_matplotlib_or_umap_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"method='umap' needs umap: pip install 'clusterjax\[plots\]'"):
        plots.embedding_plot(np.eye(4), [0, 0, 1, 1])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"plots need matplotlib: pip install 'clusterjax\[plots\]'"):
        plots.silhouette_plot([0.5, 0.2], [0, 1])


def sweep_of(**more):
    """A sweep of 2, 3, 4 and 6 clusters, with these curves."""
    nothing = SweepResult(jnp.array([2, 3, 4, 6]), jnp.zeros((4, 5), int), None, None, {}, None, {})
    return nothing._replace(**more)


def test_a_curve_and_the_k_it_chooses():
    sweep = sweep_of(
        indices={"silhouette": jnp.array([0.1, 0.2, 0.7, 0.3]), "davies_bouldin": jnp.array([1.0, 2, 3, 4])}
    )
    ax = plots.sweep_plot(sweep)
    assert_allclose(np.asarray(ax.lines[0].get_xydata()), [[2, 0.1], [3, 0.2], [4, 0.7], [6, 0.3]], rtol=1e-6)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "3", "4", "6"]
    assert ax.get_title() == "silhouette chooses 4"
    assert_allclose(np.asarray(ax.lines[-1].get_xydata()), [[4, 0.7]], rtol=1e-6)
    assert plots.sweep_plot(sweep, criterion="davies_bouldin").get_title() == "davies_bouldin chooses 2"


def test_the_gap_has_bars_and_the_inertia_an_elbow_or_none():
    ks, values, errors = jnp.array([1, 2, 3, 4, 6]), jnp.array([0.1, 0.9, 0.2, 0.3, 0.2]), jnp.full(5, 0.05)
    gap = GapResult(ks, values, values, values, errors, jnp.zeros((5, 5), int))
    ax = plots.sweep_plot(sweep_of(gap=gap, inertia=jnp.array([40.0, 30, 20, 0])), criterion="gap")
    assert ax.get_title() == "gap chooses 2"
    assert isinstance(ax.containers[0], ErrorbarContainer)
    assert ax.containers[0].has_yerr
    straight = sweep_of(inertia=jnp.array([50.0, 40, 30, 10]))
    assert plots.sweep_plot(straight, criterion="inertia").get_title() == "inertia: no answer"
    bent = sweep_of(inertia=jnp.array([50.0, 10, 9, 8]))
    assert plots.sweep_plot(bent, criterion="inertia").get_title() == "inertia bends at 3"


def test_a_criterion_that_the_sweep_does_not_have():
    with pytest.raises(ValueError, match="no 'gap': pass one of silhouette"):
        plots.sweep_plot(sweep_of(indices={"silhouette": jnp.ones(4)}), criterion="gap")
    assert plots.sweep_plot(sweep_of(indices={"mine": jnp.ones(4)}), criterion="mine").get_title() == "mine: no answer"


def test_votes_are_stacked_over_the_k_they_are_for():
    up, down = jnp.array([0.1, 0.2, 0.7, 0.3]), jnp.array([4.0, 3, 1, 2])
    indices = {"silhouette": up, "davies_bouldin": down, "dunn": up[::-1], "mine": up}
    ax = plots.votes_plot(sweep_of(indices=indices))
    bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    places = [(round(bar.get_x() + bar.get_width() / 2), bar.get_y(), bar.get_height()) for bar in bars]
    assert places == [(1, 0, 1), (1, 1, 1), (0, 0, 1)]
    assert [text.get_text() for text in ax.texts] == ["silhouette", "davies\nbouldin", "dunn"]
    ax.figure.canvas.draw()
    for bar, text in zip(bars, ax.texts, strict=True):
        frame, name = bar.get_window_extent(), text.get_window_extent()
        assert frame.contains(*name.min)
        assert frame.contains(*name.max)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["3", "4\nsuggested"]
    assert ax.get_title() == "4 clusters: 2 of 3 votes"


def test_without_a_value_there_are_no_votes():
    with pytest.raises(ValueError, match="there are no votes to draw"):
        plots.votes_plot(sweep_of(indices={"silhouette": jnp.full(4, jnp.nan)}))


def edges_of(ax):
    """{((row, place), (row, place)): width} of a tree."""
    (lines,) = (found for found in ax.collections if isinstance(found, LineCollection))
    ends = [tuple((round(y), round(float(x), 6)) for x, y in line) for line in lines.get_segments()]
    return dict(zip(ends, np.atleast_1d(lines.get_linewidth()), strict=True))


def nodes_of(ax) -> PathCollection:
    (nodes,) = (found for found in ax.collections if isinstance(found, PathCollection))
    return nodes


def tree_of(*labels):
    return sweep_of(ks=jnp.arange(2, 2 + len(labels)), labels=jnp.array(labels))


def test_a_tree_has_a_node_for_each_cluster_and_edges_to_its_parents():
    # cluster 7 comes from 0 by 9 of its 10 points, cluster 3 from 1 by 8 of its 9; the last point is noise
    above = [0] * 10 + [1] * 9 + [-1]
    below = [7] * 9 + [3] + [3] * 8 + [7] + [-1]
    ax = plots.cluster_tree_plot(tree_of(above, below))
    nodes = nodes_of(ax)
    assert_allclose(np.asarray(nodes.get_offsets()), [[0.25, 0], [0.75, 0], [0.75, 1], [0.25, 1]])
    assert_allclose(nodes.get_sizes() / nodes.get_sizes()[0], [1, 0.9, 0.9, 1], rtol=1e-6)
    assert [text.get_text() for text in ax.texts] == ["0", "1", "3", "7"]
    edges = edges_of(ax)
    broad, thin = edges[(0, 0.25), (1, 0.25)], edges[(0, 0.25), (1, 0.75)]
    assert_allclose(thin / broad, (1 / 9) / (9 / 10), rtol=1e-6)
    assert_allclose(edges[(0, 0.75), (1, 0.75)] / broad, (8 / 9) / (9 / 10), rtol=1e-6)
    assert_allclose(edges[(0, 0.75), (1, 0.25)] / broad, (1 / 10) / (9 / 10), rtol=1e-6)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["2", "3"]
    assert ax.get_title() == "19 points, 2 to 3 clusters"


def test_small_shares_and_noise_make_no_edge():
    above = [0] * 10 + [1] * 10
    below = [0] * 10 + [-1, -1] + [1] * 8
    assert edges_of(plots.cluster_tree_plot(tree_of(above, below))).keys() == {
        ((0, 0.25), (1, 0.25)),
        ((0, 0.75), (1, 0.75)),
    }
    one_of_eleven = [0] * 9 + [1] + [1] * 10
    assert ((0, 0.25), (1, 0.75)) not in edges_of(plots.cluster_tree_plot(tree_of(above, one_of_eleven)))


def test_a_tree_that_only_splits_crosses_nowhere():
    finest = np.random.default_rng(0).permutation(16)
    rows = [finest >> shift for shift in (3, 2, 1, 0)]
    shuffled = [np.random.default_rng(i).permutation(16)[row] for i, row in enumerate(rows)]  # names are by chance
    ax = plots.cluster_tree_plot(tree_of(*shuffled))
    assert len(edges_of(ax)) == 4 + 8 + 16
    for row in range(3):
        own = sorted((above[1], below[1]) for above, below in edges_of(ax) if above[0] == row)
        assert all(a[1] < b[1] for a, b in pairwise(own))


def test_a_tree_of_very_many_clusters_has_no_numbers():
    labels = [np.arange(600) % k for k in range(150, 200)]
    ax = plots.cluster_tree_plot(tree_of(*labels))
    assert not ax.texts
    assert len(ax.get_yticks()) <= style.MOST_NAMES
    nodes = nodes_of(ax)
    assert len(np.asarray(nodes.get_offsets())) == sum(range(150, 200))


def test_a_row_of_noise_alone_is_empty_and_what_follows_has_no_parents():
    ax = plots.cluster_tree_plot(tree_of([0, 0, 1, 1], [-1] * 4, [0, 1, 1, 1]))
    assert not edges_of(ax)
    assert len(ax.texts) == 4


def test_a_tree_needs_two_rows_and_clusters():
    for labels in ([[0, 1, 1]], [[-1, -1], [-1, -1]]):
        with pytest.raises(ValueError, match="there is no tree to draw"):
            plots.cluster_tree_plot(tree_of(*labels))
