"""What the paper leaves open, and what was chosen here: a sentence each."""

from __future__ import annotations

MASK = (
    "A class or an object is white on black in every example; a pixel belongs to it "
    "where what is painted is nearer to white: the official demo's threshold of 128."
)
FEW_SHOT = (
    (
        "Episodes are those of HSNet's tests: 1000 of each of 4 folds, and one for "
        "every test image of FSS-1000; means over folds, and over seeds (by default 0, "
        "as HSNet's)."
    ),
    MASK,
    "Masks are compared at the query's own size; HSNet's default is 400 x 400.",
    "Few shots are 5, joined by the feature ensemble.",
)
VIDEOS = (
    (
        "The frame that an object is given in stays an example for all frames, as in "
        "the official demo; beside it are the last predicted ones."
    ),
    (
        "By default every object has a pass of its own, white on black, and a pixel "
        "goes to the object that is painted most clearly there, if any is; "
        "--labels-per-pass colours several objects in one picture."
    ),
    (
        "What is remembered of a frame is what was decided of it, after all objects "
        "were compared. A frame in which an object was not found is not remembered for "
        "it, unless another that is coloured in the same picture was."
    ),
    (
        "An object that is given later begins there, with that frame as its example, "
        "over what was predicted of the others."
    ),
    (
        "DAVIS and MOSE: as davis2017-evaluation, without the first and last frame. "
        "YouTube-VOS: from the frame after an object is given to the last one; the "
        "server's own code is not public. Seen are the categories of train/meta.json."
    ),
)
ENSEMBLES = (
    *VIDEOS,
    *FEW_SHOT[:3],
    (
        "In videos, examples are the first frame and the last predicted ones, as many "
        "as there are yet."
    ),
    "Where examples do not fill the grid of the spatial ensemble, they are repeated.",
)
TUNED = (
    (
        "The prompt starts from a grid of 4 training images, which show many classes, "
        "and its picture alone learns, by Adam with a rate of 0.1 (the authors' advice "
        "for Painter) that falls to 0, for 2000 updates from 4 images each; the flags "
        "of tune change that."
    ),
    (
        "Kept is the state with the best mean Dice of 16 training images that are not "
        "learned from."
    ),
    (
        "Unlabelled pixels are learned as black; views are crops of 30 to 100 % of an "
        "image's area, flipped, with varied brightness and contrast, unless below it "
        "says otherwise."
    ),
)
PALETTE_ADE20K = (
    "The 150 classes have the colours of Painter's published evaluation; SegGPT's are "
    "not published."
)
NEAREST_CLASS = (
    "What is painted is resized bilinearly, and a pixel is of the class with the "
    "nearest colour, black not among them, as in Painter's evaluation (which sums "
    "absolute differences; here it is the Euclidean distance)."
)
ADE20K = (
    *TUNED,
    PALETTE_ADE20K,
    NEAREST_CLASS,
    (
        "Several prompts, of some of the classes each, are joined so: a pixel takes "
        "the class of the prompt that paints it most clearly."
    ),
    "mIoU is the mean over classes that truly occur; unlabelled pixels are left out.",
)
PANOPTIC = (
    *TUNED,
    (
        "Two prompts are tuned: one paints the 133 classes in Painter's colours, of 7 "
        "levels; the other paints objects, in one of 64 colours by the place of their "
        "centre on a grid of 8 x 8 (Painter has 80 x 80). Crowds are not learned from."
    ),
    (
        "The prompt for objects learns from whole images, never flipped (as Painter's "
        "instances, which are cropped to 99.99 % or more), since places are those in "
        "whole images."
    ),
    NEAREST_CLASS,
    (
        "An object is a connected region of one colour of the second prompt, of 256 "
        "pixels or more; its class is that which most of its pixels have in the first, "
        "among things, and without any it is dropped."
    ),
    (
        "What no object covers goes to the stuff that the first prompt paints, a "
        "segment a class, of 4096 pixels or more; the rest is void."
    ),
)
EXAMPLES = (
    (
        "For each class, training images are drawn that show it, without replacement, "
        "by numpy's generator seeded with the seed and the class; fewer examples are "
        "the first of more."
    ),
    (
        "Each class is a pass, white on black, feature ensemble; a pixel takes the "
        "class whose pass paints it brightest, without any threshold, since all scored "
        "pixels have a class."
    ),
    "The best of the seeds is the one with the highest mIoU.",
    "mIoU and mAcc are means over the classes that truly occur.",
)
