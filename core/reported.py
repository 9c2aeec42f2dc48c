"""What the report that this project carries out and corrects says of its own models.

"Lightweight Deep Learning Model for Skin Cancer Detection using Knowledge Distillation". These are its figures, not
ours: whatever shows them marks them "as reported". None of them was measured here, and none can be, since its split
is by image and its runs are not published.
"""

from __future__ import annotations

from dataclasses import dataclass

MARK = "as reported"


@dataclass(frozen=True)
class Reported:
    """One row of the report's table of results.

    Attributes:
        title: the model as the report names it.
        counterpart: our model of the same role.
        accuracy: share of test images named rightly (the report names no other figure of merit).
        megabytes: size of its Keras file.
        batch_ms: inference time of one batch; the report states neither the batch's size nor the machine.
        source: where in the report it stands.
    """

    title: str
    counterpart: str
    accuracy: float
    megabytes: float
    batch_ms: float
    source: str


RESULTS: tuple[Reported, ...] = (
    Reported("ResNet50", "resnet50", 0.6786, 94.77, 631.0, "table of results"),
    Reported("DenseNet169", "densenet169", 0.8776, 51.88, 631.0, "table of results"),
    Reported(
        "MobileNetV2 student", "student", 0.6695, 34.65, 517.0, "table of results (test; validation 66.94%)"
    ),
)
BY_COUNTERPART: dict[str, Reported] = {row.counterpart: row for row in RESULTS}

MAJORITY_IMAGES, IMAGES = 6705, 10015
"""Nevi and images in HAM10000 (Tschandl, Rosendahl, Kittler, Scientific Data 5:180161, 2018, table 1)."""

MAJORITY_SHARE = MAJORITY_IMAGES / IMAGES
"""The accuracy of always answering "nevus" on the whole of HAM10000, and on the report's stratified split."""


@dataclass(frozen=True)
class Choice:
    """One choice of the report's recipe, and what this project does instead.

    Attributes:
        subject: what it is about.
        reported: what the report did.
        section: where it says so.
        ours: what is done here.
    """

    subject: str
    reported: str
    section: str
    ours: str


CHOICES: tuple[Choice, ...] = (
    Choice(
        "Split",
        "by image, so that images of one lesion lie on both sides",
        "3.3 and its code",
        "by lesion: no lesion of the test set was ever trained on",
    ),
    Choice(
        "Soft labels",
        "probabilities softened once more at T = 50: nearly uniform whatever the image",
        "4.2 and its code",
        "logits, softened once, with the factor T²",
    ),
    Choice(
        "Whose soft labels",
        "always those of the first batch, while the images are shuffled",
        "its code",
        "the teachers' answer to the very same view; where a view is turned and mirrored anew each epoch, their answer "
        "to one orientation of it stands for all eight",
    ),
    Choice(
        "Weight alpha",
        "0.8 on the soft term in section 4.2 and the code, on the hard one in 3.1 and 4.1",
        "3.1, 4.1, 4.2",
        "alpha weighs the soft term, said wherever it is shown",
    ),
    Choice(
        "Start of the student",
        "from scratch, 20 epochs",
        "its code",
        "from ImageNet weights, beside a baseline that has no teachers",
    ),
)
