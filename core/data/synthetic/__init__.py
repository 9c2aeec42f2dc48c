"""Synthetic dermatoscopic lesions: for tests, newcomers without HAM10000, and the classroom.

    lesion = render("mel", seed=7)              # image, mask, record, structures; 224x224
    make_dataset("lesions", total=700, seed=1)  # a folder that core.data.ham10000.open_dataset reads

Everything here is drawn from numbers: nothing is taken from a photograph. How it is made:
`records` (patient), `skin` and `painters` (structures of `structures` and `surface` on an `outline`) add
pigments to `optics.Layers`, seen through a `frame.Frame`; `camera` takes the picture.
"""

from core.data.synthetic.dataset import SyntheticError, make_dataset
from core.data.synthetic.lesion import ID_PREFIX, SYNTHETIC_NOTICE, SyntheticLesion, render

__all__ = ["ID_PREFIX", "SYNTHETIC_NOTICE", "SyntheticError", "SyntheticLesion", "make_dataset", "render"]
