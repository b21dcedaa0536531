"""Omniglot from its authors' zip files: read in the order of the records, and fetched from servers good and bad."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_data import ALPHABETS, CONTENT, NAMES, encode, nowhere, prepare, small_omniglot, square  # noqa: F401

from experiments import archives, cache, data, drawings, records


def zipped(folder: Path, stem: str, members: dict[str, bytes]) -> Path:
    """An archive as the authors made theirs, with what a Mac adds to such a thing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{stem}/", b"")
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(f"{stem}/{name}"), content)
            file.writestr(zipfile.ZipInfo(f"__MACOSX/{stem}/{name}"), b"not a picture")
        file.writestr(f"{stem}/.DS_Store", bytes(200_000))  # so that half the file is more than pooch asks for at once
    return path


def publish(folder: Path) -> list[Path]:
    """The four characters of `prepare` as the authors would publish them."""
    return [
        zipped(
            folder,
            stem,
            {
                f"{ALPHABETS[a]}/character{c + 1:02d}/{number:04d}_{i + 1:02d}.png": encode(square(a, c, i))
                for number, (a, c) in enumerate(CONTENT[split], 1)
                for i in range(20)
            },
        )
        for stem, split in (("images_background", "train"), ("images_evaluation", "test"))
    ]


def same(one: cache.Characters, other: cache.Characters) -> bool:
    return cache.digest(one) == cache.digest(other)


# ---------------------------------------------------------------------------------------------------------------------
# Reading


@pytest.mark.usefixtures("small_omniglot")
def test_archives_are_read_as_records_are(tmp_path):
    expected = records.read(prepare(tmp_path))
    found = archives.read(publish(tmp_path / "zips"))
    assert found.names == expected.names == NAMES
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.turns, expected.turns)


@pytest.mark.data
def test_the_real_archives_are_read_as_the_real_records_are(tmp_path):
    """The records do not tell who drew what, but their order does: TFDS sorts by a hash of the file's name."""
    tfds = pytest.importorskip("tensorflow_datasets")
    hashing = pytest.importorskip("tensorflow_datasets.core.hashing")
    named = os.environ.get("TFDS_DATA_DIR")
    prepared = records.prepared_version(Path(named)) if named else None
    if prepared is None:
        pytest.skip("TFDS_DATA_DIR names no folder with a prepared Omniglot")
    alphabets = (prepared / "alphabet.labels.txt").read_text().split()
    builder = tfds.builder_from_directory(prepared)
    paths = []
    for stem, split in (("images_background", "train"), ("images_evaluation", "test")):
        source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
        rows = source.__getitems__(range(len(source)))
        keys = {
            f"{alphabets[a]}_{c}_{label + 1:04d}_{i:02d}.png": (alphabets[a], c, f"{label + 1:04d}_{i:02d}.png")
            for a, c, label in {(r["alphabet"], r["alphabet_char_id"], r["label"]) for r in rows}
            for i in range(1, 21)
        }
        files = [keys[key] for key in sorted(keys, key=hashing.Hasher(split).hash_key)]
        # 32 460 places agree, so the rule is theirs.
        assert [file[:2] for file in files] == [(alphabets[r["alphabet"]], r["alphabet_char_id"]) for r in rows]
        images = {
            f"{a}/character{c + 1:02d}/{file}": row["image"] for (a, c, file), row in zip(files, rows, strict=True)
        }
        paths.append(zipped(tmp_path, stem, dict(sorted(images.items()))))
    assert same(archives.read(paths), records.read(prepared))


# ---------------------------------------------------------------------------------------------------------------------
# A server on this machine


class Server(http.server.ThreadingHTTPServer):
    """Serves the made-up archives, in good or bad `manner`, and counts what it is asked for."""

    daemon_threads = True
    manner = "good"

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {path.name: path.read_bytes() for path in publish(folder)}
        self.asked: list[str] = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/mirror/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_HEAD(self):
        if self.server.manner == "mute":
            self.server.over.wait(5)
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        name = self.path.removeprefix("/mirror/")
        self.server.asked.append(name)
        content = self.server.files[name]
        bad = name == "images_evaluation.zip"  # the first is fetched whole in any manner
        if bad and self.server.manner == "missing":
            self.send_error(404)
            return
        if bad and self.server.manner == "another file":
            content = content[::-1]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2 if bad and self.server.manner in ("cut", "stuck") else len(content)
        self.wfile.write(content[:half])
        if half < len(content) and self.server.manner == "stuck":
            self.server.over.wait(5)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(nowhere, small_omniglot, monkeypatch):  # noqa: F811, as fixtures are imported and named
    """A mirror on a machine that has nothing yet."""
    with Server(nowhere / "published") as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("CLUSTERJAX_OMNIGLOT_URL", server.url)
        use(server.files, monkeypatch.setattr)
        yield server
        server.over.set()
        server.shutdown()


def use(files: dict[str, bytes], patch=setattr) -> None:
    """Make these the published archives."""
    known = {
        name: archive._replace(md5=hashlib.md5(files[name]).hexdigest()) for name, archive in archives.ARCHIVES.items()
    }
    patch(archives, "ARCHIVES", known)


def left(folder: Path) -> list[str]:
    """The files of a cache."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


WHOLE = ["omniglot/images_background.zip", "omniglot/images_evaluation.zip"]


def test_what_is_fetched_is_read_and_kept(server, tmp_path, capsys):
    expected = records.read(prepare(tmp_path / "prepared"))
    capsys.readouterr()
    folder = tmp_path / "cache"
    assert same(data.omniglot(None, folder), expected)
    assert "Fetching http://127.0.0.1" in capsys.readouterr().err
    assert server.asked == list(archives.ARCHIVES)
    array, *zips = left(folder)
    assert zips == WHOLE
    server.manner = "mute"  # from here on the network is not asked
    assert same(data.omniglot(None, folder), expected)
    (folder / array).write_bytes(b"damaged")
    assert same(data.omniglot(None, folder), expected)
    assert left(folder) == [array, *WHOLE]


def test_a_prepared_folder_comes_first(server, tmp_path, monkeypatch):
    prepare(tmp_path / "prepared")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    data.omniglot(None, tmp_path / "cache")
    assert server.asked == []


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("mute", "no answer"),
        ("missing", "404 Client Error"),
        ("another file", "another file, by its md5"),
        ("cut", "IncompleteRead"),
        ("stuck", "Read timed out"),
    ],
)
def test_a_bad_server_costs_a_sentence_and_nothing_else(server, tmp_path, monkeypatch, capsys, manner, reason):
    monkeypatch.setattr(archives, "ANSWER", 0.3)
    monkeypatch.setattr(archives, "SILENCE", 0.3)
    server.manner = manner
    with pytest.raises(drawings.NotFoundError, match=reason) as caught:
        data.omniglot(None, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert left(tmp_path / "cache") == ([] if manner == "mute" else WHOLE[:1])
    capsys.readouterr()
    assert data.load().name == "glyphs"
    assert capsys.readouterr().err.splitlines()[-1].endswith("using the glyphs instead, letters drawn from fonts.")
    server.manner = "good"
    assert same(
        data.omniglot(None, tmp_path / "cache"), archives.read([tmp_path / "published" / n for n in server.files])
    )


def test_a_damaged_archive_is_fetched_again(server, tmp_path):
    data.omniglot(None, tmp_path / "cache")
    for name in left(tmp_path / "cache"):
        (tmp_path / "cache" / name).write_bytes(b"damaged")
    assert data.omniglot(None, tmp_path / "cache").names == NAMES
    assert server.asked == 2 * list(archives.ARCHIVES)


def test_a_full_disk_costs_a_sentence(server, tmp_path, monkeypatch):
    def full(url, file, _):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archives, "download", full)
    with pytest.raises(drawings.NotFoundError, match="No space left on device"):
        data.omniglot(None, tmp_path / "cache")
    assert left(tmp_path / "cache") == []


@pytest.mark.usefixtures("nowhere")
def test_a_name_server_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    complaints = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    monkeypatch.setattr(archives, "ANSWER", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.6))
    monkeypatch.setenv("CLUSTERJAX_OMNIGLOT_URL", "http://omniglot.invalid")
    before = threading.active_count()
    with pytest.raises(drawings.NotFoundError, match="no answer"):
        archives.fetch(tmp_path)
    assert threading.active_count() == before + 1
    time.sleep(0.6)
    assert threading.active_count() == before  # and it ended without a word
    assert not complaints


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("package", ["pooch", "tensorflow_datasets"])
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, package):
    prepare(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    folder = None if package == "pooch" else tmp_path
    with pytest.raises(data.DataError, match=rf"needs {package}; run `pip install 'clusterjax\[experiments\]'`"):
        data.load(data_dir=folder)


# ---------------------------------------------------------------------------------------------------------------------
# Processes that are killed


def start(server: Server, folder: Path, before: str = "pass", **options) -> subprocess.Popen:
    """Another process that wants Omniglot, and prints what it got."""
    script = (
        "import test_archives as t; t.drawings.known = lambda: t.NAMES;"
        f"t.use({{path.name: path.read_bytes() for path in t.Path({str(folder / 'published')!r}).iterdir()}});"
        f"{before}; print(t.cache.digest(t.data.omniglot(None, t.Path({str(folder / 'cache')!r}))), flush=True)"
    )
    options.setdefault("env", os.environ | {"CLUSTERJAX_OMNIGLOT_URL": server.url})
    root = Path(__file__).parent
    options["env"] |= {"PYTHONPATH": os.pathsep.join([str(root), str(root.parent)])}
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, **options)


def until(holds) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[0] == ""


def age(folder: Path, names) -> None:
    for name in names:
        os.utime(folder / name, (0, 0))


def test_killed_while_it_fetches(server, tmp_path):
    folder = tmp_path / "cache"
    server.manner = "stuck"
    process = start(server, tmp_path)
    until(lambda: [p for p in (folder / "omniglot").glob("tmp*") if p.stat().st_size and len(server.asked) == 2])
    kill(process)
    (partial,) = set(left(folder)) - set(WHOLE)
    age(folder, [partial])
    server.manner = "good"
    assert same(data.omniglot(None, folder), archives.read([tmp_path / "published" / n for n in server.files]))
    assert left(folder)[1:] == WHOLE
    assert server.asked.count("images_background.zip") == 1


def test_killed_while_it_writes_the_cache(server, tmp_path):
    folder = tmp_path / "cache"
    process = start(server, tmp_path, "t.cache.os.replace = lambda *_: t.time.sleep(20)")
    until(lambda: [p for p in folder.glob("*.tmp") if p.stat().st_size > 60000])
    kill(process)
    (partial,) = set(left(folder)) - set(WHOLE)
    age(folder, [partial])
    assert same(data.omniglot(None, folder), archives.read([tmp_path / "published" / n for n in server.files]))
    assert len(left(folder)) == 3
    assert partial not in left(folder)
    assert server.asked == list(archives.ARCHIVES)


def test_an_ascii_locale(server, tmp_path):
    """Files are opened in an encoding that is said, or Python would warn here."""
    modules = ("archives", "cache", "data", "drawings")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    strict = ",".join(f"error::EncodingWarning:experiments.{module}" for module in modules)
    env = os.environ | ascii_only | {"CLUSTERJAX_OMNIGLOT_URL": server.url, "PYTHONWARNINGS": strict}
    check = "t.drawings.listed('val'); t.data.members('lake', t.NAMES)"
    process = start(server, tmp_path, check, env=env, stderr=subprocess.PIPE)
    assert len(process.communicate()[0].strip()) == 64
    assert process.returncode == 0
