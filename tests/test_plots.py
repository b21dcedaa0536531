"""Pictures hold what they are given: bars, points, frames, marks. How they look is for eyes."""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle, StepPatch
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from clusterjax import plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


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


def test_silhouette_of_very_many_clusters_names_some():
    ax = plots.silhouette_plot(np.linspace(0, 1, 400), np.arange(400) // 2)
    assert len(ax.get_yticks()) <= plots.MOST_NAMES
    assert len([patch for patch in ax.patches if isinstance(patch, StepPatch)]) == 200


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_embedding_draws_every_point_and_names_every_class(method):
    rng = np.random.default_rng(0)
    labels = np.array([-1, *np.repeat([0, 2, 3], 6)])
    with threadpool_limits(1):  # on a busy machine the threads of scikit-learn wait for each other for minutes
        ax = plots.embedding_plot(rng.normal(size=(19, 5)), labels, method=method, names=["a", "b", "c", "d"])
    assert [len(np.asarray(points.get_offsets())) for points in ax.collections] == [1, 6, 6, 6]
    assert [text.get_text() for text in ax.texts] == ["a", "c", "d"]


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
    stamps = [artist for artist in ax.artists if isinstance(artist, AnnotationBbox)]
    shown = [np.asarray(s.offsetbox.get_data()) for s in stamps if isinstance(s.offsetbox, OffsetImage)]
    assert [image.shape for image in shown] == [(8, 6, 3)] * 2
    ink = 1 if shape[-1] == 3 else 0  # one channel is ink, drawn black on white
    assert_array_equal(shown[0], ink)
    assert_array_equal(shown[1], 1 - ink)


def test_an_episode_tells_right_from_wrong_by_frame_and_by_mark():
    rng = np.random.default_rng(0)
    true, predicted = np.array([1, 0, 0, 1, 2]), np.array([1, 0, 2, 0, 2])
    ax = plots.episode_plot(rng.random((3, 2, 7, 7)), rng.random((5, 7, 7)), predicted, true, names=["a", "b", "c"])
    frames = [to_hex(p.get_edgecolor()).upper() for p in ax.patches if isinstance(p, Rectangle)]
    assert frames.count(plots.GIVEN) == 6
    assert frames.count(plots.RIGHT) == 3
    assert frames.count(plots.WRONG) == 2
    assert [text.get_text() for text in ax.texts] == ["✓", "✗ c", "✓", "✗ a", "✓"]  # row by row, in query order
    rows = [round(text.get_position()[1] // plots.ROW) for text in ax.texts]
    assert rows == [0, 0, 1, 1, 2]
    assert ax.get_title() == "3-way 2-shot: 3 of 5 right"


def test_plots_draw_into_the_axes_they_are_given():
    ax = plt.subplots()[1]
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
    with pytest.raises(ValueError, match="every query needs an answer"):
        plots.episode_plot(np.ones((2, 1, 3, 3)), np.ones((2, 3, 3)), [0], [0, 1])


def test_without_matplotlib_or_umap_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"method='umap' needs umap: pip install 'clusterjax\[plots\]'"):
        plots.embedding_plot(np.eye(3), [0, 0, 1])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"plots need matplotlib: pip install 'clusterjax\[plots\]'"):
        plots.silhouette_plot([0.5, 0.2], [0, 1])
