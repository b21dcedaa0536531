"""Omniglot from its authors' zip files, fetched from servers good and bad, by processes that are killed."""

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
from pathlib import Path

import pytest
from stand_ins import NAMES, prepare, publish, same

from experiments import data
from experiments.data import errors, fetching, finding, omniglot

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
def server(nowhere, small_omniglot, monkeypatch):
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
        name: archive._replace(md5=hashlib.md5(files[name]).hexdigest()) for name, archive in omniglot.ARCHIVES.items()
    }
    patch(omniglot, "ARCHIVES", known)


def left(folder: Path) -> list[str]:
    """The files of a cache."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


WHOLE = ["omniglot/images_background.zip", "omniglot/images_evaluation.zip"]


def test_what_is_fetched_is_read_and_kept(server, tmp_path, capsys):
    expected = omniglot.read_prepared(prepare(tmp_path / "prepared"))
    capsys.readouterr()
    folder = tmp_path / "cache"
    assert same(omniglot.find(None, folder), expected)
    assert "Fetching http://127.0.0.1" in capsys.readouterr().err
    assert server.asked == list(omniglot.ARCHIVES)
    array, *zips = left(folder)
    assert zips == WHOLE
    server.manner = "mute"  # from here on the network is not asked
    assert same(omniglot.find(None, folder), expected)
    (folder / array).write_bytes(b"damaged")
    assert same(omniglot.find(None, folder), expected)
    assert left(folder) == [array, *WHOLE]


def test_a_prepared_folder_comes_first(server, tmp_path, monkeypatch):
    prepare(tmp_path / "prepared")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    omniglot.find(None, tmp_path / "cache")
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
    monkeypatch.setattr(fetching, "ANSWER", 0.3)
    monkeypatch.setattr(fetching, "SILENCE", 0.3)
    server.manner = manner
    with pytest.raises(errors.NotFoundError, match=reason) as caught:
        omniglot.find(None, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert left(tmp_path / "cache") == ([] if manner == "mute" else WHOLE[:1])
    capsys.readouterr()
    assert data.load().name == "glyphs"
    assert capsys.readouterr().err.splitlines()[-1].endswith("using the glyphs instead, letters drawn from fonts.")
    server.manner = "good"
    assert same(
        omniglot.find(None, tmp_path / "cache"),
        omniglot.read_archives([tmp_path / "published" / n for n in server.files]),
    )


def test_a_damaged_archive_is_fetched_again(server, tmp_path):
    omniglot.find(None, tmp_path / "cache")
    for name in left(tmp_path / "cache"):
        (tmp_path / "cache" / name).write_bytes(b"damaged")
    assert omniglot.find(None, tmp_path / "cache").names == NAMES
    assert server.asked == 2 * list(omniglot.ARCHIVES)


def test_a_full_disk_costs_a_sentence(server, tmp_path, monkeypatch):
    def full(what, url, file, _):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetching, "download", full)
    with pytest.raises(errors.NotFoundError, match="No space left on device"):
        omniglot.find(None, tmp_path / "cache")
    assert left(tmp_path / "cache") == []


@pytest.mark.usefixtures("nowhere")
def test_a_name_server_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    complaints = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    monkeypatch.setattr(fetching, "ANSWER", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.6))
    monkeypatch.setenv("CLUSTERJAX_OMNIGLOT_URL", "http://omniglot.invalid")
    before = threading.active_count()
    with pytest.raises(errors.NotFoundError, match="no answer"):
        finding.fetch(omniglot.source(), tmp_path)
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
        "import test_data_fetching as t; t.omniglot.known = lambda: t.NAMES;"
        f"t.use({{path.name: path.read_bytes() for path in t.Path({str(folder / 'published')!r}).iterdir()}});"
        f"{before}; print(t.data.cache.digest(t.omniglot.find(None, t.Path({str(folder / 'cache')!r}))), flush=True)"
    )
    options.setdefault("env", os.environ | {"CLUSTERJAX_OMNIGLOT_URL": server.url})
    root = Path(__file__).parent
    options["env"] |= {"PYTHONPATH": os.pathsep.join([str(root), str(root.parent)])}
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, **options)


def size(path: Path) -> int:
    """Of a file that the process under test may be about to rename."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


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
    until(lambda: [p for p in (folder / "omniglot").glob("tmp*") if size(p) and len(server.asked) == 2])
    kill(process)
    (partial,) = set(left(folder)) - set(WHOLE)
    age(folder, [partial])
    server.manner = "good"
    assert same(omniglot.find(None, folder), omniglot.read_archives([tmp_path / "published" / n for n in server.files]))
    assert left(folder)[1:] == WHOLE
    assert server.asked.count("images_background.zip") == 1


def test_killed_while_it_writes_the_cache(server, tmp_path):
    folder = tmp_path / "cache"
    process = start(server, tmp_path, "t.data.cache.os.replace = lambda *_: t.time.sleep(20)")
    until(lambda: [p for p in folder.glob("*.tmp") if size(p) > 60000])
    kill(process)
    (partial,) = set(left(folder)) - set(WHOLE)
    age(folder, [partial])
    assert same(omniglot.find(None, folder), omniglot.read_archives([tmp_path / "published" / n for n in server.files]))
    assert len(left(folder)) == 3
    assert partial not in left(folder)
    assert server.asked == list(omniglot.ARCHIVES)


def test_an_ascii_locale(server, tmp_path):
    """Files are opened in an encoding that is said, or Python would warn here."""
    modules = ("cache", "characters", "fetching", "finding", "omniglot")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    strict = ",".join(f"error::EncodingWarning:experiments.data.{module}" for module in modules)
    env = os.environ | ascii_only | {"CLUSTERJAX_OMNIGLOT_URL": server.url, "PYTHONWARNINGS": strict}
    check = "t.data.characters.listed('val'); t.data.characters.members('lake', t.NAMES)"
    process = start(server, tmp_path, check, env=env, stderr=subprocess.PIPE)
    out, err = process.communicate()
    assert len(out.strip()) == 64, err
    assert process.returncode == 0
