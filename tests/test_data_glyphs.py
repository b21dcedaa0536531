"""The embedded set: every letter is drawn, in one shape, no two classes look alike, whole scripts are held out."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pytest

from experiments.data import characters, glyphs

FEW = [("Latin", letter) for letter in "AEFNO"] + [("Greek", "\u0391"), ("Georgian", "\u10d0"), ("Hebrew", "\u05d0")]
SCRIPTS = json.loads(glyphs.SCRIPTS.read_text())
LOOK_ALIKE = ("Greek", "\u0391")  # Alpha


def label(script, letter):
    return f"{script}/U+{ord(letter):04X}"


@pytest.fixture(scope="module")
def few():
    """Eight letters with all that is done to them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glyphs, "candidates", lambda: FEW)
        return glyphs.draw()


@pytest.fixture(scope="module")
def whole():
    """Every letter, in two drawings instead of twenty, for the time it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glyphs, "DRAWINGS", 2)
        return glyphs.draw()


def test_format_and_look_alikes(few):
    assert few.names == tuple(label(*letter) for letter in FEW if letter != LOOK_ALIKE)
    assert few.images.shape == (7, 20, 28, 28)
    assert few.images.dtype == np.uint8
    assert few.turns.shape == (7, 4)
    assert few.turns[:, 0].all()


def test_symmetric_letters_have_fewer_rotations(few):
    turns = dict(zip(few.names, few.turns.tolist(), strict=True))
    assert turns[label("Latin", "F")] == [True, True, True, True]
    assert turns[label("Latin", "N")] == [True, True, False, False]
    assert turns[label("Latin", "O")][2] is False


def test_drawings_are_upright_whole_and_different(few):
    for drawings in few.images:
        assert (drawings.reshape(20, -1).max(1) > 128).all()
        assert len({picture.tobytes() for picture in drawings}) == 20
    mean = few.images[few.names.index(label("Latin", "F"))].mean(0)
    plain = glyphs.render("F", glyphs.fonts()[0]).reshape(28, 2, 28, 2).mean((1, 3))
    views = [np.rot90(side, quarter) for side in (plain, plain[:, ::-1]) for quarter in range(4)]
    assert np.argmax([np.corrcoef(mean.ravel(), view.ravel())[0, 1] for view in views]) == 0
    edges = np.concatenate([few.images[..., [0, -1], :].ravel(), few.images[..., [0, -1]].ravel()])
    assert (edges > 128).mean() < 0.005


def test_the_same_seed_draws_the_same(monkeypatch, few):
    monkeypatch.setattr(glyphs, "candidates", lambda: FEW)
    np.testing.assert_array_equal(glyphs.draw().images, few.images)
    assert not np.array_equal(glyphs.draw(seed=1).images, few.images)


def test_only_faces_that_have_the_letter_draw_it():
    rng = np.random.default_rng(0)
    faces = glyphs.drawers(rng, "\u1401")  # Canadian syllabics: in the sans faces only
    assert len(faces) == 20
    assert {face.stem for face in faces} == {
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSans-Oblique",
        "DejaVuSans-BoldOblique",
    }
    latin = glyphs.drawers(rng, "A")
    assert len(set(latin)) >= 12
    assert max(map(latin.count, latin)) - min(map(latin.count, latin)) <= 1
    for letter in ("A", "\u10d0", "\u1401"):
        for face in set(glyphs.drawers(rng, letter)):
            box = glyphs.render("\U000fffff", face)  # a private character nobody has: the empty box
            assert not np.array_equal(glyphs.render(letter, face), box)


def unit(picture):
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(picture.astype(np.float32), 2)[::2, ::2]
    return blurred / np.linalg.norm(blurred)


def distinct_by_loops(canvases):
    """The rule as `distinct` tells it, one pair at a time."""
    kept, result = [], np.zeros((len(canvases), 4), bool)
    for quarter in range(4):
        for i, canvas in enumerate(canvases):
            if quarter and not result[i, 0]:
                continue
            picture = np.rot90(unit(canvas), quarter)
            if all(np.linalg.norm(picture - other) >= glyphs.SAME for other in kept):
                kept.append(picture)
                result[i, quarter] = True
    return result


def test_distinct_follows_its_rule():
    letters = [letter for _, letter in FEW] + list("oOBbPpdqXxcCuUl1I\u0421\u041e")
    canvases = np.stack([glyphs.render(letter, glyphs.fonts()[0]) for letter in letters])
    found = glyphs.distinct(canvases)
    np.testing.assert_array_equal(found, distinct_by_loops(canvases))
    assert 0 < found.sum() < found.size


@pytest.mark.parametrize(
    "letter", ["\u10a0", "\u0442", "\u10da", "\u04cb"]
)  # by serif, by italics, by mono, by mistake
def test_a_letter_of_two_shapes_is_left_out(monkeypatch, letter):
    monkeypatch.setattr(glyphs, "candidates", lambda: [("Latin", "A"), ("Some", letter)])
    assert glyphs.draw().names == ("Latin/U+0041",)


@pytest.mark.parametrize("letter", "AOUWgiß\u0436\u03bb\u10d0\u10a1\u0561\u05d0\u1401\u0e81\u062b")
def test_styles_of_a_letter_agree(letter):
    assert glyphs.agree(letter)


def agree_by_loops(letter):
    """From the first face, take in whatever is near one that was taken in, until nothing comes."""
    pictures = [unit(glyphs.straight(glyphs.render(letter, face))) for face in glyphs.having(letter)]
    reached = {0}
    for _ in pictures:
        reached |= {
            j
            for i in reached
            for j, picture in enumerate(pictures)
            if np.linalg.norm(picture - pictures[i]) < glyphs.APART
        }
    return len(reached) == len(pictures)


def test_agree_follows_its_rule():
    letters = "AUgv\u0433\u0434\u03bd\u03dd\u10a2\u10bf\u10ef\u2d02"
    found = [glyphs.agree(letter) for letter in letters]
    assert found == [agree_by_loops(letter) for letter in letters]
    assert 0 < sum(found) < len(found)


def test_straight_takes_out_slant_and_half_of_a_stretch():
    from scipy.ndimage import affine_transform

    upright = glyphs.render("R", glyphs.fonts()[0])
    change = np.array([[1.2, 0.0], [0.3, 0.9]])  # rows: how a place of the new picture is found in the old one
    offset = 27.5 - change @ np.full(2, 27.5) + [1.5, -2.0]
    changed = affine_transform(upright, change, offset, order=1)  # pyright: ignore[reportArgumentType]
    twice = [unit(glyphs.straight(glyphs.straight(picture))) for picture in (upright, changed)]
    before, after = np.linalg.norm(unit(upright) - unit(changed)), np.linalg.norm(twice[0] - twice[1])
    assert before > 0.5
    assert after < 0.15
    places = np.indices(upright.shape).reshape(2, -1)
    for picture in (upright, changed):
        spread = [np.cov(places, aweights=p.ravel().astype(float)) for p in (picture, glyphs.straight(picture))]
        assert abs(spread[1][0, 1]) < 2 < abs(spread[0][0, 1])
        np.testing.assert_allclose(spread[1][0, 0], glyphs.SPREAD * np.sqrt(spread[0][0, 0]), rtol=0.03)


def test_letters_are_plain():
    assert glyphs.plain("a")
    assert not glyphs.plain("\u00e1")  # a with acute
    assert not glyphs.plain("\ufe91")  # Arabic beh, initial form
    assert not glyphs.plain("\ufb01")  # the ligature fi
    assert not glyphs.plain("1")


def test_whole_scripts_are_held_out(whole):
    dataset = characters.divide("glyphs", "scripts", whole)
    held = [{name.split("/")[0] for name in part.names} for part in dataset[2:]]
    assert held == [set(SCRIPTS[part]) for part in ("train", "validation", "test")]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    for part, least in zip(dataset[2:], (2000, 200, 700), strict=True):
        assert len(set(part.names)) == len(part.names) >= least
        assert (part.images.max((2, 3)) > 128).all()
    assert 1100 < len(whole.names) < 1180
    upright = dataset.test.alphabets[dataset.test.upright]
    assert np.unique(upright, return_counts=True)[1].min() >= 20  # enough for 20-way tasks within every alphabet


def test_letters_belong_to_their_scripts(whole):
    for name in whole.names:
        script, point = name.split("/U+")
        assert unicodedata.name(chr(int(point, 16))).startswith(script.upper())


def test_the_key_follows_the_list_of_scripts(monkeypatch, tmp_path):
    before = glyphs.key()
    assert glyphs.key() == before
    other = tmp_path / "scripts.json"
    other.write_text(json.dumps({**SCRIPTS, "validation": ["Armenian"]}))
    monkeypatch.setattr(glyphs, "SCRIPTS", other)
    assert glyphs.key() != before
