"""What one run of the experiments is: a start, teachers, T, alpha, a share of the lesions, and mistakes on purpose."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Mistake:
    """One of the report's mistakes, as a switch.

    Attributes:
        key: as the table has it.
        title: for people.
        did: what the report did.
        instead: what is right.
    """

    key: str
    title: str
    did: str
    instead: str


SOFTMAX_TWICE = "softmax-twice"
NO_T2 = "no-t2"
FIRST_BATCH = "first-batch"
STARVED_TEACHER = "starved-teacher"
IMAGE_SPLIT = "image-split"
BARE_START = "bare-start"

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        SOFTMAX_TWICE,
        "Softmax of softmax",
        "divides probabilities by T and applies softmax again, to the teacher's and to the student's",
        "softens the logits, once",
    ),
    Mistake(
        NO_T2,
        "No T²",
        "leaves the soft term as it is, so that its gradient shrinks with T²",
        "multiplies the soft term by T²",
    ),
    Mistake(
        FIRST_BATCH,
        "First batch's soft labels",
        "gives every batch the soft labels of the first images of the set, while the images are shuffled",
        "gives each image the teacher's answer to that very view of it",
    ),
    Mistake(
        STARVED_TEACHER,
        "Frozen, wrongly scaled teacher",
        "trains only a head on frozen ImageNet features that were fed pixels from 0 to 1",
        "trains the whole teacher, on pixels scaled as it expects them",
    ),
    Mistake(
        IMAGE_SPLIT,
        "Split by image",
        "lets images of one lesion lie on both sides of the split",
        "keeps all images of a lesion on one side",
    ),
    Mistake(
        BARE_START,
        "From scratch, as Keras ships it",
        "starts the student from nothing, and leaves its batch normalisation as Keras ships it, so that it is judged "
        "with statistics that lag a thousand steps behind",
        "starts from ImageNet, with statistics that keep up",
    ),
)
BY_KEY: dict[str, Mistake] = {mistake.key: mistake for mistake in MISTAKES}
ALL_MISTAKES: tuple[str, ...] = tuple(BY_KEY)

OF_SOFT_TERM = frozenset((SOFTMAX_TWICE, NO_T2, FIRST_BATCH, STARVED_TEACHER))
"""Mistakes in what the teacher says or in how it is weighed, beside which the labels' term is as it should be."""

REPORT_TEMPERATURE, REPORT_ALPHA = 50.0, 0.8
"""The report's T and alpha (its section 4.2: alpha weighs the soft term)."""

BALANCES = ("none", "sqrt")
"""Weights of the classes in the labels' term."""


@dataclass(frozen=True)
class Variant:
    """What one run differs in from the others; its seed among it.

    Attributes:
        teachers: names of trained models; none for the student that learns from labels alone.
        temperature: T; 1 without teachers.
        alpha: weight of the soft term; 0 without teachers.
        hint: weight of the regression of the student's embedding onto the teacher's; 0 is off.
        start: `imagenet` or `scratch`.
        share: share of the training lesions that is used.
        balance: `sqrt` weighs the labels' term by the square root of the classes' rarity, as the teachers learned;
            `none` weighs every image the same.
        mistakes: keys of `MISTAKES`.
        seed: of initial weights, order and dropout.

    Raises:
        ValueError: something makes no sense together.
    """

    teachers: tuple[str, ...] = ()
    temperature: float = 1.0
    alpha: float = 0.0
    hint: float = 0.0
    start: str = "imagenet"
    share: float = 1.0
    balance: str = "none"
    mistakes: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        if self.start not in ("imagenet", "scratch"):
            raise ValueError(f"start: expected imagenet or scratch, found {self.start!r}")
        if not 0 < self.share <= 1 or not 0 <= self.alpha <= 1 or self.temperature <= 0 or self.hint < 0:
            raise ValueError(f"expected 0 < share <= 1, 0 <= alpha <= 1, T > 0 and hint >= 0, found {self}")
        if self.balance not in BALANCES:
            raise ValueError(f"balance: expected one of {', '.join(BALANCES)}, found {self.balance!r}")
        unknown = sorted(set(self.mistakes) - set(BY_KEY))
        if unknown:
            raise ValueError(f"mistakes: expected some of {', '.join(BY_KEY)}, found {', '.join(unknown)}")
        if not self.teachers and (self.alpha or self.hint or self.temperature != 1):
            raise ValueError(f"expected teachers where there is a soft term or a hint, found none in {self}")
        if BARE_START in self.mistakes and self.start != "scratch":
            raise ValueError(f"start: expected scratch with the mistake {BARE_START}, found {self.start!r}")

    @property
    def split(self) -> str:
        """Of the images: `report` (by image) under that mistake, else `lesion`."""
        return "report" if IMAGE_SPLIT in self.mistakes else "lesion"

    @property
    def cell(self) -> str:
        """What names the run but for its seed; runs of one cell are averaged."""
        parts = [self.start, "+".join(self.teachers) or "alone"]
        if self.teachers:
            parts += [f"t{self.temperature:g}", f"a{self.alpha:g}"]
        if self.hint:
            parts.append(f"h{self.hint:g}")
        if self.share < 1:
            parts.append(f"{100 * self.share:g}pct")
        if self.balance != "none":
            parts.append(self.balance)
        if self.mistakes:
            ordered = [key for key in BY_KEY if key in self.mistakes]
            parts.append("all-mistakes" if len(ordered) == len(BY_KEY) else "+".join(ordered))
        return "_".join(parts)

    @property
    def name(self) -> str:
        """The run: letters, digits, and signs that every file system takes."""
        return f"{self.cell}_s{self.seed}"
