"""The dataset page's counts: the classes, the two splits side by side, and what balancing does."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core.data.balancing import TITLES, balancing_table
from core.data.browse import in_words
from core.data.splits import SPLITS, crossing_lesions
from core.data.summary import Leak, Summary
from core.figures.counts import balancing_bars, class_bars, leak_bars, value_bars
from core.figures.keys import class_key
from core.lesions import BY_CODE, CODES
from core.text import counted
from pages import _links, _set, _shared
from pages._set import Shown
from pages._set_images import SPLIT_TITLES, pick_split
from pages._set_leak import show_worth

WHAT_SPLITS_DO = {
    "lesion": "All images of a lesion lie in one part: what the test part shows was never trained on. Every headline "
    "figure here is measured so.",
    "report": "Every image is drawn on its own, as the report did. A lesion has up to six images, and so the test part "
    "shows lesions that were trained on: what is measured there may partly be memory.",
}
EFFECTS = {"What the loss sees": "share", "Images an epoch shows": "shown"}


def show_classes(images: Shown) -> None:
    """How many images and lesions of each class, and who and where they are."""
    summary, whose = _set.counts(images)
    st.markdown(
        f"**{summary.images:,} images of {summary.lesions:,} lesions**, "
        f"{summary.images_by_class['nv'] / max(summary.images, 1):.0%} of them of one class. {whose}"
    )
    _shared.chart(
        class_bars(summary.images_by_class, summary.lesions_by_class, ink=_shared.ink()),
        key="classes",
        alt="; ".join(f"{BY_CODE[c].name}: {n:,} images" for c, n in summary.images_by_class.items()),
        reading="Bars are images, the diamond is the number of lesions: the further it lies left of the bar's end, "
        "the more images a lesion has.",
    )
    table = class_table(summary)
    config = {
        "share": st.column_config.ProgressColumn("Share", **_shared.PERCENT),
        "images_per_lesion": st.column_config.NumberColumn("Images per lesion", format="%.2f"),
        "class": "Class", "diagnosis": "Diagnosis", "malignant": "Malignant",
        "images": st.column_config.NumberColumn("Images", format="localized"),
        "lesions": st.column_config.NumberColumn("Lesions", format="localized"),
    }  # fmt: skip
    st.dataframe(_shared.in_percent(table, ["share"]), hide_index=True, column_config=config, key="class-counts",
                 height="content", alt="Images and lesions of each class")  # fmt: skip
    _shared.download(table, "classes.csv")
    show_people(summary)


def class_table(summary: Summary) -> pd.DataFrame:
    """One row for each class."""
    rows = []
    for code in CODES:
        images, lesions = summary.images_by_class[code], summary.lesions_by_class[code]
        rows.append(
            {
                "class": code,
                "diagnosis": BY_CODE[code].name,
                "malignant": "yes" if BY_CODE[code].malignant else "no",
                "images": images,
                "share": images / max(summary.images, 1),
                "lesions": lesions,
                "images_per_lesion": images / lesions if lesions else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def show_people(summary: Summary) -> None:
    """Sex, age, site, confirmation."""
    st.subheader("Who, where, and how it was confirmed")
    tables = {
        "Sex": ("sex", summary.sex),
        "Age": ("age_band", summary.age),
        "Site": ("localization", summary.localization),
        "How it was confirmed": ("dx_type", summary.dx_type),
    }
    st.html(class_key())
    grid = st.grid("auto", min_column_width=420, gap="medium")
    for title, (column, counts) in tables.items():
        with grid.cell():
            st.markdown(f"**{title}**")
            labels = {v: in_words(column, v) for v in counts}
            _shared.chart(
                value_bars(counts, labels, ink=_shared.ink()),
                key=f"people-{column}",
                alt="; ".join(f"{labels[v]}: {sum(by.values()):,}" for v, by in counts.items()),
            )
    st.caption(
        ":material/info: Images by value, each bar made of the classes in their colours. Confirmation matters: nearly "
        "all malignant lesions went to histopathology, most nevi were only followed up or agreed on by experts."
    )
    _shared.download(
        pd.DataFrame(
            [
                {"by": title, "value": v, **by}
                for title, (_, counts) in tables.items()
                for v, by in counts.items()
            ]
        ),
        "people.csv",
    )


def show_splits(images: Shown) -> None:
    """The two splits beside each other, what the leak is worth, then the lesions that leak."""
    summary, whose = _set.counts(images)
    st.caption(whose)
    st.html(class_key())
    for column, split in zip(st.columns(2, gap="medium"), SPLITS, strict=True):
        with column:
            show_split(split, summary)
    _shared.download(
        pd.DataFrame(
            [
                {"split": split, "part": part, "images": sum(by.values()), **by}
                for split in SPLITS
                for part, by in summary.parts[split].items()
            ]
        ),
        "splits.csv",
        "Both splits as CSV",
    )
    show_worth()
    show_leaks(images)


def show_split(split: str, summary: Summary) -> None:
    """One split: its parts, and what it leaks."""
    leak: Leak = summary.leaks[split]
    st.subheader(SPLIT_TITLES[split])
    st.markdown(WHAT_SPLITS_DO[split])
    parts = summary.parts[split]
    labels = {part: f"{part}, {sum(by.values()):,}" for part, by in parts.items()}
    _shared.chart(
        value_bars(parts, labels, ink=_shared.ink()),
        key=f"parts-{split}",
        alt="; ".join(labels.values()),
        reading="Images of each part by class; the three bars are divided alike, since both splits keep the classes' "
        "shares.",
    )
    st.markdown(
        f"**{counted(leak.lesions, 'lesion')} in more than one part**, with {counted(leak.images, 'image')}"
    )
    seen = {
        "Test images of a trained lesion": (leak.test_images_seen, leak.test_images),
        "Validation images of a trained lesion": (leak.validation_images_seen, leak.validation_images),
    }
    _shared.chart(
        leak_bars(seen, ink=_shared.ink()),
        key=f"leak-{split}",
        alt="; ".join(f"{name}: {part} of {whole}" for name, (part, whole) in seen.items()),
        reading="The share of a part whose lesion has another image in the training part. It should be nothing.",
    )


def show_leaks(images: Shown) -> None:
    """The lesions that the report's split has in more than one part, and the images of one of them."""
    st.subheader("Lesions that the report's split leaks")
    if not images.live:
        st.caption(":material/science: Of the synthetic set: HAM10000's own lesions need it at hand.")
    table = leaks(images)
    if table.empty:
        st.success("No lesion of this set leaks.")
        return
    st.markdown(f"{counted(len(table), 'lesion')}, those with most images first.")
    config = {"lesion_id": "Lesion", "dx": "Class", "images": "Images", "parts": "Parts"}
    st.dataframe(table, hide_index=True, column_config=config, key="leaking", height=240,
                 alt="Lesions with images in several parts")  # fmt: skip
    _shared.download(table, "leaking-lesions.csv")
    names = {row.lesion_id: f"{row.lesion_id}: {row.dx}, {row.images} images" for row in table.itertuples()}
    lesion = _links.selectbox("Lesion to look at", list(names), 0, names.get, key="lesion", width=340)
    rows = images.table[images.table["lesion_id"] == lesion]
    _set.cards(
        images,
        rows,
        lambda row: f"**{row.part_report}** in the report's split, {row.part_lesion} in ours",
        "leak",
    )
    st.caption(
        ":material/info: All images of one lesion. A model that has trained on one of them may know the others."
    )


def leaks(images: Shown) -> pd.DataFrame:
    """`core.data.splits.crossing_lesions` of the report's split, those with most images first."""
    return _leaks(images.key, images)


@st.cache_data(max_entries=2, show_spinner="Looking for lesions on both sides ...")
def _leaks(key: str, _images: Shown) -> pd.DataFrame:
    table = _images.table.assign(dx=_images.table["dx"].astype(object))
    found = crossing_lesions(table, table["part_report"].astype(str).to_numpy())
    return found.sort_values(["images", "lesion_id"], ascending=[False, True], ignore_index=True)


def show_balancing(images: Shown) -> None:
    """The training part before and after every way of balancing."""
    summary, whose = _set.counts(images)
    nevi = summary.images_by_class["nv"] / max(summary.images, 1)
    st.markdown(
        f"{nevi:.0%} of the images are nevi, so a network that says “nevus” to everything is right for as many. "
        "The report repeats images of every smaller class until it has 1,200; here each image weighs by the inverse "
        "square root of its class' share, which repeats nothing and overdoes nothing."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = pick_split("balance-split")
        effect = _links.segmented_control("Bars show", list(EFFECTS), key="effect")
    st.caption(whose)
    table = balancing_table(summary.parts[split]["train"])
    column = EFFECTS[effect]
    written = ".1%" if column == "share" else ",.0f"
    before = table[table["balance"] == "none"][column].to_numpy()
    grid = st.grid("auto", min_column_width=320, gap="medium")
    for balance, title in TITLES.items():
        rows = table[table["balance"] == balance].assign(before=before)
        with grid.cell():
            st.markdown(f"**{title}**")
            _shared.chart(
                balancing_bars(rows, column, axis=effect, ink=_shared.ink()), key=f"balance-{balance}",
                alt="; ".join(f"{r.code}: {getattr(r, column):{written}}" for r in rows.itertuples()),
            )  # fmt: skip
    st.caption(
        ":material/info: Filled bars are after balancing, outlines before it. The loss sees images times their weight, "
        "as shares of the whole. Repeating an image many times makes a network learn that very image by heart."
    )
    show_balancing_table(table)


def show_balancing_table(table: pd.DataFrame) -> None:
    """The same as numbers."""
    config: Mapping[str, object] = {
        "balance": "Balancing",
        "code": "Class",
        "images": "Images",
        "shown": "Shown in an epoch",
        "repeats": st.column_config.NumberColumn("Each image shown", format="%.1f times"),
        "weight": st.column_config.NumberColumn("Weight", format="%.2f"),
        "share": st.column_config.ProgressColumn("Share of the loss", **_shared.PERCENT),
    }
    named = table.assign(balance=table["balance"].map(TITLES))
    st.dataframe(_shared.in_percent(named, ["share"]), hide_index=True, column_config=config, key="balancing",
                 height="content", placeholder="", alt="Each class before and after each way of balancing")  # fmt: skip
    _shared.download(named, "balancing.csv")
