"""Image sets to train and judge on, in two parts: training and held-out. A source is named as on the command line:

* ``digits``: scikit-learn's 1,797 handwritten digits, 8×8 grey; 1,000 of them are held out;
* ``rendered[:TRAIN[:HELD_OUT]]``: scenes of :mod:`golden.train.images.rendered`, 40,000 and 2,000 of them by default;
* a folder: a sub-folder of PNG or JPEG files per class; or such folders called ``train`` and ``val`` (or ``test``,
  ``held_out``) in it;
* ``hf:NAME[:CONFIG[:SPLIT]]``: a data set on the Hugging Face hub with the columns ``image`` and ``label``, for
  instance ``hf:ILSVRC/imagenet-1k::validation`` (split ``train`` by default). Needs the package `datasets`.
"""

from golden.train.images.image_set import Images, ImageSet
from golden.train.images.sources import Request, load_images

__all__ = ["ImageSet", "Images", "Request", "load_images"]
