import torch

from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.prompt_map import PromptMap

MATCH_DIM = 10  # six features, three of place, one of trust; seven values


def encoded() -> EncodedPrompts:
    generator = torch.Generator().manual_seed(0)
    keys, values = torch.randn(2, 1, 2, 5, MATCH_DIM, generator=generator)
    return EncodedPrompts(
        grid=(1, 1),
        seg_type=torch.zeros(1, 2, dtype=torch.long),
        match_keys=keys,
        match_values=values,
    )


def test_a_new_map_changes_nothing() -> None:
    before, after = encoded(), PromptMap(MATCH_DIM)(encoded())
    torch.testing.assert_close(after.match_keys, before.match_keys)
    torch.testing.assert_close(after.match_values, before.match_values)


def test_places_and_colours_are_never_mapped() -> None:
    prompt_map = PromptMap(MATCH_DIM)
    with torch.no_grad():
        for parameter in prompt_map.parameters():
            parameter.normal_()
    before, after = encoded(), prompt_map(encoded())
    assert before.match_keys is not None
    assert after.match_keys is not None
    moved = (after.match_keys != before.match_keys).any((0, 1, 2))
    assert moved.tolist() == [True] * 6 + [False] * 3 + [True]
    assert before.match_values is not None
    assert after.match_values is not None
    moved = (after.match_values != before.match_values).any((0, 1, 2))
    assert moved.tolist() == [False] * 3 + [True] * 7


def test_all_pixels_of_all_prompts_are_mapped_alike() -> None:
    prompt_map = PromptMap(MATCH_DIM)
    with torch.no_grad():
        for parameter in prompt_map.parameters():
            parameter.normal_()
    whole = prompt_map(encoded()).match_keys
    second = prompt_map(encoded().select([1])).match_keys
    assert whole is not None
    torch.testing.assert_close(second, whole[:, 1:])
