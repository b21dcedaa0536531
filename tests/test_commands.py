"""How commands end, and what a log says while they run."""

import io

import pytest
from rich.console import Console

from experiments import commands
from experiments.data import DataError
from experiments.runs import RunError


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RunError("--dim 0: too small."), 2, "it.py: --dim 0: too small."),
        (DataError("no such folder"), 2, "it.py: no such folder"),
        (OSError(28, "No space left", "a/b"), 2, "it.py: a/b: No space left; with that mended the same command ends."),
        (OSError("odd"), 2, "it.py: odd; with that mended the same command ends."),
        (KeyboardInterrupt(), 130, "it.py: stopped; the same command ends."),
    ],
)
def test_what_can_be_mended_is_a_sentence_and_a_status(error, status, said, capsys):
    def work(console):
        console.print("begun")
        raise error

    assert commands.run("it.py", "ends", work) == status
    assert capsys.readouterr() == ("begun\n", said + "\n")


def test_what_nobody_expected_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        commands.run("it.py", "ends", lambda console: console.print(1 / 0))


@pytest.mark.parametrize(("every", "lines"), [(0.0, ["1 of 3: one", "2 of 3: two"]), (1000.0, [])])
def test_a_log_has_a_line_now_and_then(every, lines, monkeypatch, capsys):
    monkeypatch.setattr(commands, "EVERY", every)
    out = io.StringIO()
    with commands.progress(Console(file=out), 3) as tell:
        tell("one", 1)
        tell("two", 2)
    assert capsys.readouterr().err.splitlines() == lines
    assert not out.getvalue()


def test_a_terminal_has_a_bar(capsys):
    out = io.StringIO()
    with commands.progress(Console(file=out, force_terminal=True, width=80), 3) as tell:
        tell("one", 2)
    assert "one" in out.getvalue()
    assert "2/3" in out.getvalue()
    assert not capsys.readouterr().err
