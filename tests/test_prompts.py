import numpy as np
import pytest

from napari_seggpt.prompts import Prompt


def test_ids_are_sorted_unique_and_without_background() -> None:
    labels = np.array([[7, 0, -3], [7, 2, 0]], dtype=np.int16)
    prompt = Prompt(image=np.zeros((2, 3)), labels=labels)
    assert prompt.ids.tolist() == [-3, 2, 7]
    assert prompt.ids.dtype == np.int64


def test_a_mask_is_a_label_image_of_ones() -> None:
    prompt = Prompt(image=np.zeros((2, 2, 3)), labels=np.eye(2, dtype=bool))
    assert prompt.ids.tolist() == [1]


@pytest.mark.parametrize("shape", [(4,), (2, 2, 3, 1), ()])
def test_an_image_has_rows_and_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Expected an image .* got shape"):
        Prompt(image=np.zeros(shape), labels=np.zeros((2, 2), int))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 1), (3,)])
def test_labels_have_the_shape_of_the_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 2\), got"):
        Prompt(image=np.zeros((3, 2, 3)), labels=np.zeros(shape, int))


@pytest.mark.parametrize("dtype", [np.float32, complex, object, "U1"])
def test_labels_are_integers(dtype: object) -> None:
    with pytest.raises(ValueError, match="Expected labels of an integer type"):
        Prompt(image=np.zeros((3, 2)), labels=np.zeros((3, 2)).astype(dtype))


def test_prompts_are_compared_by_identity() -> None:
    one, other = (
        Prompt(image=np.zeros((2, 2)), labels=np.ones((2, 2), int)) for _ in range(2)
    )
    assert other in [one, other]
    assert one not in [other]
    assert len({one, other}) == 2
