"""CIFAR from its authors' archive: pickles that are not trusted, and a server that has them."""

from __future__ import annotations

import functools
import http.server
import os
import pickle
import threading

import numpy as np
import pytest
from cifar_stand_ins import COUNTS, is_whole, one_sentence, pickled, publish, trust
from stand_ins import same

from experiments import data
from experiments.data import cifar

SETS = pytest.mark.parametrize("name", ["cifar100", "cifar10"])


class Evil:
    """What a pickle may do."""

    def __reduce__(self):
        return os.mkdir, ("made by a pickle",)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (pickle.dumps(Evil(), 2), "mkdir"),
        (b"cbuiltins\neval\n.", "builtins.eval"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"cnumpy.core.multiarray\nscalar\n.", "scalar"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.", "ndarray.dump"),
    ],
)
@pytest.mark.usefixtures("small_cifar")
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(nowhere, monkeypatch, content, named):
    monkeypatch.chdir(nowhere)
    path = publish(
        nowhere / "cache" / "cifar100", change=lambda files: files.update({"cifar-100-python/test": content})
    )
    trust(monkeypatch, "cifar100", path)
    with pytest.raises(data.DataError, match=rf"the pickle asks for \S*{named}") as caught:
        data.load_pictures("auto")
    one_sentence(caught)
    assert not (nowhere / "made by a pickle").exists()


def no_batch(files):
    del files["cifar-100-python/test"]


def no_labels(files):
    files["cifar-100-python/test"] = pickled({b"data": np.zeros((100, 3072), np.uint8)})


def half_a_batch(files):
    files["cifar-100-python/test"] = files["cifar-100-python/test"][:5000]


def other_pixels(files):
    files["cifar-100-python/test"] = pickled({b"data": np.zeros((100, 3000), np.uint8), b"fine_labels": [*range(100)]})


def other_labels(files):
    files["cifar-100-python/test"] = pickled({b"data": np.zeros((100, 3072), np.uint8), b"fine_labels": 100 * [7]})


def more_labels(files):
    files["cifar-100-python/test"] = pickled({b"data": np.zeros((99, 3072), np.uint8), b"fine_labels": [*range(100)]})


@pytest.mark.usefixtures("small_cifar")
@pytest.mark.parametrize("change", [no_batch, no_labels, half_a_batch, other_pixels, other_labels, more_labels])
def test_a_strange_archive_costs_a_sentence(nowhere, monkeypatch, change):
    trust(monkeypatch, "cifar100", publish(nowhere / "cache" / "cifar100", change=change))
    with pytest.raises(data.DataError) as caught:
        data.load_pictures("auto")
    one_sentence(caught, str(nowhere / "cache" / "cifar100"))


@pytest.fixture
def mirror(nowhere, monkeypatch):
    """A server that has both archives, on a machine that has nothing yet."""
    folder = nowhere / "published"
    for name in COUNTS:
        trust(monkeypatch, name, publish(folder, name))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("CLUSTERJAX_CIFAR_URL", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()


@SETS
def test_what_is_fetched_is_kept(small_cifar, mirror, nowhere, monkeypatch, capsys, name):
    fetched = cifar.find(name, None, nowhere / "cache")
    assert is_whole(fetched, name)
    assert "Fetching http://127.0.0.1" in capsys.readouterr().err
    monkeypatch.setenv("CLUSTERJAX_CIFAR_URL", "http://127.0.0.1:1")
    assert same(cifar.find(name, None, nowhere / "cache"), fetched)
    (array,) = (nowhere / "cache").glob("*.npz")
    array.write_bytes(b"damaged")
    assert same(cifar.find(name, None, nowhere / "cache"), fetched)
    (nowhere / "cache" / name / cifar.SETS[name].archive).unlink()
    assert same(cifar.find(name, None, nowhere / "cache"), fetched)  # the arrays alone are enough


def test_a_damaged_archive_is_fetched_again(small_cifar, mirror, nowhere):
    path = nowhere / "cache" / "cifar100" / cifar.SETS["cifar100"].archive
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    assert data.load_pictures().name == "cifar100"
