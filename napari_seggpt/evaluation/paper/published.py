"""The figures that the paper prints (arXiv 2304.03284), in percent."""

from __future__ import annotations

NAN = float("nan")

# Table 1: mIoU of COCO-20i with one shot and few, of PASCAL-5i with one and few.
# * says that training saw the classes that are tested; so it did for SegGPT.
FEW_SHOT = {
    "HSNet": (41.2, 49.5, 66.2, 70.4),
    "HSNet *": (41.7, 50.7, 68.7, 73.8),
    "VAT": (41.3, 47.9, 67.9, 72.0),
    "VAT *": (42.9, 49.4, 72.4, 76.3),
    "FPTrans": (47.0, 58.9, 68.8, 78.0),
    "FPTrans *": (56.5, 65.5, 77.7, 83.2),
    "Painter": (32.8, 32.6, 64.5, 64.6),
    "SegGPT": (56.1, 67.9, 83.2, 89.8),
}

# Table 2: mIoU of FSS-1000 with one shot and few; SegGPT was not trained on it.
FSS_1000 = {
    "DAN": (85.2, 88.1),
    "HSNet": (86.5, 88.5),
    "SSP": (87.3, 88.6),
    "VAT": (90.3, 90.8),
    "DACM": (90.8, 91.7),
    "Painter": (61.7, 62.3),
    "SegGPT": (85.6, 89.3),
}

# Table 3: G, J and F of seen, J and F of unseen objects of YouTube-VOS 2018; J&F, J
# and F of DAVIS 2017; the same of MOSE.
VIDEOS = {
    "AGAME": (66.0, 66.9, NAN, 61.2, NAN, 70.0, 67.2, 72.7, NAN, NAN, NAN),
    "AGSS": (71.3, 71.3, 65.5, 75.2, 73.1, 67.4, 64.9, 69.9, NAN, NAN, NAN),
    "STM": (79.4, 79.7, 84.2, 72.8, 80.9, 81.8, 79.2, 84.3, NAN, NAN, NAN),
    "AFB-URR": (79.6, 78.8, 83.1, 74.1, 82.6, 74.6, 73.0, 76.1, NAN, NAN, NAN),
    "RDE": (83.3, 81.9, 86.3, 78.0, 86.9, 86.1, 82.1, 90.0, 48.8, 44.6, 52.9),
    "SWEM": (82.8, 82.4, 86.9, 77.1, 85.0, 84.3, 81.2, 87.4, 50.9, 46.8, 54.9),
    "XMem": (86.1, 85.1, 89.8, 80.3, 89.2, 87.7, 84.0, 91.4, 57.6, 53.3, 62.0),
    "Painter": (24.1, 27.6, 35.8, 14.3, 18.7, 34.6, 28.5, 40.8, 14.5, 10.4, 18.5),
    "SegGPT": (74.7, 75.1, 80.2, 67.4, 75.9, 75.6, 72.5, 78.6, 45.1, 42.2, 48.0),
}

# Table 4a: by examples and ensemble, J&F, J and F of DAVIS 2017, mIoU and FB-IoU of
# FSS-1000.
ENSEMBLES = {
    (1, "none"): (70.0, 66.4, 73.7, 85.5, 90.8),
    (4, "spatial"): (61.9, 58.0, 65.8, 89.3, 93.5),
    (4, "feature"): (74.7, 71.6, 77.7, 87.8, 92.4),
    (8, "feature"): (75.6, 72.5, 78.6, 89.8, 93.8),
}

# Table 4b: by frames, J&F, J and F of DAVIS 2017.
FRAMES = {
    1: (70.0, 66.4, 73.7),
    4: (74.7, 71.6, 77.7),
    8: (75.6, 72.5, 78.6),
    12: (74.8, 71.6, 77.9),
    16: (74.6, 71.4, 77.8),
}

# Table 5: mIoU of ADE20K.
ADE20K = {
    "FCN": 29.4,
    "RefineNet": 40.7,
    "DPT": 49.2,
    "Mask2Former": 57.7,
    "Painter": 49.9,
    "SegGPT, tuned": 39.6,
}

# Table 6: PQ of COCO panoptic.
PANOPTIC = {
    "PanopticFPN": 40.3,
    "SOLOv2": 42.1,
    "Mask2Former": 57.8,
    "UViM": 45.8,
    "Painter": 43.4,
    "SegGPT, tuned": 34.4,
}

# Table S1: by examples, mIoU and mAcc of ADE20K.
EXAMPLES = {
    1: (18.8, 27.4),
    2: (25.0, 34.4),
    4: (28.3, 37.7),
    8: (30.1, 38.9),
    16: (31.9, 40.4),
    32: (33.0, 42.0),
}
TUNED_EXAMPLE = (39.6, 50.7)
S1_SEEDS = (1000, 2000, 3000, 4000)
