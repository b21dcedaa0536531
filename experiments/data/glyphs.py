"""A stand-in for Omniglot that needs no download: letters of 15 scripts, drawn from the fonts that matplotlib ships.

    draw() -> Characters(images, names, turns)

Scripts are the alphabets; the drawers are the faces (DejaVu and STIX; sans, serif, mono, bold, oblique), each drawing
bent a little in its own way. Letters are brought to one size first, as fonts tell `c` from `C` by nothing else, and of
letters that then look the same (Latin A, Greek Alpha, Cyrillic A) only the first is kept. A letter that the faces draw
in two shapes (Cyrillic te is a `т` upright and an `m` in italics) would be two characters in one class: it is left out.
Rotated letters are classes too, unless they look like another class: `O` turned is `O`, `N` turned is `Z`, and Canadian
syllabics turn by design.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np

from experiments.data.characters import DRAWINGS, SIZE, SPLITS, Characters

CANVAS = 2 * SIZE  # letters are rendered and bent at twice the size
LETTER = 34  # the longer side of every letter on that canvas
SAME = 0.3  # two letters closer than this are one (see `distinct`); A and Alpha: 0, O and o: 0.25, E and F: 0.42
APART = 0.51  # faces farther apart than this draw two shapes (see `agree`); U, sans and serif: 0.45, Cyrillic de: 0.53
SPREAD = 8  # the usual standard deviation of a letter's ink along a side of the canvas
SCRIPTS = SPLITS / "scripts.json"


def draw(seed: int = 0) -> Characters:
    """Draw the whole set; the same seed and the same fonts give the same set.

    Args:
        seed: of the deformations, and of which face draws what.

    Returns:
        About 1140 characters, named like `Greek/U+03B1`, with `turns` for the rotations that look like no other class;
        its first column is all True, as letters that look like an earlier one are left out.
    """
    from rich.console import Console
    from rich.progress import track

    letters = [(script, letter) for script, letter in candidates() if agree(letter)]
    turns = distinct(np.stack([render(letter, fonts()[0]) for _, letter in letters]))
    kept = [letter for letter, alone in zip(letters, turns[:, 0], strict=True) if alone]
    rng = np.random.default_rng(seed)
    images = [
        bend(rng, np.stack([render(letter, face) for face in drawers(rng, letter)]))
        for _, letter in track(kept, "Drawing glyphs", console=Console(stderr=True), transient=True)
    ]
    names = tuple(f"{script}/U+{ord(letter):04X}" for script, letter in kept)
    return Characters(np.stack(images), names, turns[turns[:, 0]])


def key() -> str:
    """A name for what `draw` gives: it changes with this file, the list of scripts and the fonts."""
    digest = hashlib.sha256()
    for path in (Path(__file__), SCRIPTS, *fonts()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def fonts() -> tuple[Path, ...]:
    """The faces, plain DejaVu Sans first: it knows every script."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    faces = [p for kind in ("DejaVuSans", "DejaVuSerif", "STIXGeneral") for p in sorted(folder.glob(f"{kind}*.ttf"))]
    return folder / "DejaVuSans.ttf", *(p for p in faces if p.stem != "DejaVuSans" and "Display" not in p.stem)


@cache
def characters(face: Path) -> frozenset[str]:
    """The characters a face has a glyph for; any other would come out as the empty box."""
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(str(face)).get_charmap()))


def candidates() -> list[tuple[str, str]]:
    """`(script, letter)`, scripts to learn from first, so that of two look-alikes the held-out one is dropped."""
    listed = json.loads(SCRIPTS.read_text())
    letters = [
        (script, letter)
        for part in ("train", "validation", "test")
        for script in listed[part]
        for letter in sorted(characters(fonts()[0]))
        if unicodedata.name(letter, "").startswith(script.upper() + " ") and plain(letter)
    ]
    return [(script, letter) for script, letter in letters if render(letter, fonts()[0]).any()]


def plain(letter: str) -> bool:
    """A letter that is not another letter with an accent, a position form, a ligature or a style."""
    return unicodedata.category(letter) in ("Lu", "Ll", "Lo") and unicodedata.normalize("NFKD", letter) == letter


@cache
def render(letter: str, face: Path) -> np.ndarray:
    """The letter in the middle of a `[56, 56]` uint8 canvas, scaled so that its longer side is 34; blank if it is."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = map(int, typeface(face).getbbox(letter))
    canvas = Image.new("L", (CANVAS, CANVAS))
    ink = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(ink).text((1 - left, 1 - top), letter, fill=255, font=typeface(face))
    if box := ink.getbbox():
        ink = ink.crop(box)
        scale = LETTER / max(ink.size)
        width, height = (max(1, round(scale * side)) for side in ink.size)
        ink = ink.resize((width, height), Image.Resampling.BILINEAR)
        canvas.paste(ink, ((CANVAS - width) // 2, (CANVAS - height) // 2))
    return np.asarray(canvas)


@cache
def typeface(face: Path):
    """The face at a size well above the canvas; `BASIC` lays out alike wherever Pillow was built."""
    from PIL import ImageFont

    return ImageFont.truetype(str(face), 64, layout_engine=ImageFont.Layout.BASIC)


def having(letter: str) -> list[Path]:
    """The faces that have the letter."""
    return [face for face in fonts() if letter in characters(face) and render(letter, face).any()]


def drawers(rng: np.random.Generator, letter: str) -> list[Path]:
    """Twenty faces that have the letter, each as often as the others, in random order."""
    faces = having(letter)
    return [faces[i] for i in rng.permutation(np.resize(rng.permutation(len(faces)), DRAWINGS))]


def bend(rng: np.random.Generator, canvases: np.ndarray) -> np.ndarray:
    """Give every drawing a small affine and a small smooth deformation of its own, and reduce it to 28 x 28.

    Args:
        rng: draws the deformations.
        canvases: `[b, 56, 56]` uint8.

    Returns:
        `[b, 28, 28]` uint8.
    """
    from scipy.ndimage import map_coordinates

    b = len(canvases)
    angle, shear = rng.normal(0, 0.10, b), rng.normal(0, 0.12, b)
    scale = np.exp(rng.normal(0, 0.10, (b, 2, 1)))
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], -1).reshape(b, 2, 2)
    lean = np.stack([np.ones(b), np.zeros(b), shear, np.ones(b)], -1).reshape(b, 2, 2)
    affine = scale * (turn @ lean)
    # The field: the lowest cosines of the canvas, so that no stroke breaks.
    place = (np.arange(CANVAS) + 0.5) / CANVAS
    waves = np.cos(np.pi * np.arange(1, 4)[:, None] * place)
    field = waves.T @ rng.normal(0, 1.0, (b, 2, 3, 3)) @ waves
    centred = np.stack(np.meshgrid(*2 * [CANVAS * (place - 0.5)], indexing="ij"))
    source = (affine @ centred.reshape(2, -1)).reshape(b, 2, CANVAS, CANVAS) + field + rng.normal(0, 1.5, (b, 2, 1, 1))
    source = (source + (CANVAS - 1) / 2).astype(np.float32)
    bent = np.stack([map_coordinates(*pair, np.float32, order=1) for pair in zip(canvases, source, strict=True)])
    return np.rint(bent.reshape(b, SIZE, 2, SIZE, 2).mean((2, 4))).astype(np.uint8)


def agree(letter: str) -> bool:
    """Whether all faces draw one shape: steps of less than `APART` lead from each to each other.

    A step is the distance |u - v| of two `pictures`, once `straight` has taken out most of what styles differ in. Among
    faces of one shape, be they bold, oblique, serif or mono, nine letters in ten need no step over 0.35, and none over
    0.5. The twenty letters beyond `APART` have another shape in italics (т, г, д, ѣ), in serif faces (Georgian U+10A0,
    Greek nu), in mono ones (Georgian U+10DA), or by a mistake in one font (U+04CB and U+04F6, which are exchanged).
    """
    from scipy.sparse.csgraph import connected_components

    unit = pictures(np.stack([straight(render(letter, face)) for face in having(letter)]))
    return connected_components(near(unit, APART))[0] == 1


def straight(canvas: np.ndarray) -> np.ndarray:
    """The letter without its slant, and halfway (by the geometric mean) to one height and width, as float32."""
    from scipy.ndimage import affine_transform

    ink = canvas.ravel() / canvas.sum(dtype=float)
    place = np.indices(canvas.shape).reshape(2, -1)
    middle = place @ ink
    place = place - middle[:, None]
    spread = place * ink @ place.T + np.eye(2) / 12  # a pixel is a square and has its own
    slant = np.array([[1, 0], [spread[0, 1] / spread[0, 0], 1]])
    sides = np.sqrt([spread[0, 0], spread[1, 1] - spread[0, 1] ** 2 / spread[0, 0]])
    source = slant * np.sqrt(sides / SPREAD)
    offset = middle - source.sum(1) * (len(canvas) - 1) / 2
    return affine_transform(canvas.astype(np.float32), source, offset, order=1)


def distinct(canvases: np.ndarray) -> np.ndarray:
    """Which letters, and which of their rotations, look like nothing that was kept before them.

    Upright letters come first, in order, then the rotations by 90 degrees, by 180, by 270; each is kept if the distance
    |u - v| of its blurred picture, scaled to unit length, to all pictures kept so far is at least `SAME`.

    Args:
        canvases: `[characters, n, n]`, upright.

    Returns:
        `[characters, 4]` bool; a letter that is left out upright is left out in every rotation.
    """
    n = len(canvases)
    unit = pictures(canvases)
    alike = near(np.concatenate([np.rot90(unit, quarter, axes=(1, 2)) for quarter in range(4)]), SAME)
    kept = np.zeros(4 * n, bool)
    for i in range(4 * n):
        kept[i] = (i < n or kept[i % n]) and not (alike[i] & kept).any()
    return kept.reshape(4, n).T


def pictures(canvases: np.ndarray) -> np.ndarray:
    """Blurred, at half the size and of unit length: `[b, n / 2, n / 2]`."""
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(canvases.astype(np.float32), (0, 2, 2))[:, ::2, ::2]
    return blurred / np.linalg.norm(blurred, axis=(1, 2), keepdims=True)


def near(unit: np.ndarray, distance: float) -> np.ndarray:
    """Which pairs of pictures of unit length are closer than that: `[b, b]` bool."""
    flat = unit.reshape(len(unit), -1)
    return flat @ flat.T > 1 - distance**2 / 2  # |u - v|^2 = 2 - 2 u.v
