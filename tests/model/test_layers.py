import pytest
import torch
from torch import Tensor, nn

from napari_seggpt.model import layers
from napari_seggpt.model.layers import Attention, Block, DropPath, PatchEmbed, Rows

DIM, HEADS = 16, 4


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    module = Attention(DIM, HEADS, table_size=(3, 2))
    for table in (module.rel_pos_h, module.rel_pos_w):
        nn.init.normal_(table)
    return module.requires_grad_(False)


def attend_plainly(
    attention: Attention, x: Tensor, rows: list[int], columns: list[int]
) -> Tensor:
    """Self-attention of tokens (N, D) at these places, token by token."""
    q, k, v = attention.qkv(x).view(len(x), 3, HEADS, -1).unbind(1)
    out = torch.zeros_like(q)
    for i in range(len(x)):
        for head in range(HEADS):
            scores = torch.stack(
                [
                    q[i, head] @ k[j, head] / q.shape[-1] ** 0.5
                    + q[i, head] @ attention.rel_pos_h[rows[i] - rows[j] + 2]
                    + q[i, head] @ attention.rel_pos_w[columns[i] - columns[j] + 1]
                    for j in range(len(x))
                ]
            )
            out[i, head] = scores.softmax(0) @ v[:, head]
    return attention.proj(out.flatten(1))


def self_attend(attention: Attention, x: Tensor, rows: Rows) -> Tensor:
    q, k, v = attention.project(x)
    return attention(q, k[:, None], v[:, None], rows, rows)


def test_attention_is_what_its_definition_says(attention: Attention) -> None:
    x = torch.randn(1, 6, DIM)
    expected = attend_plainly(attention, x[0], [0, 0, 1, 1, 2, 2], [0, 1] * 3)
    torch.testing.assert_close(
        self_attend(attention, x, Rows(3, range(3)))[0], expected
    )


def test_some_rows_ask_as_they_do_among_all(attention: Attention) -> None:
    x = torch.randn(2, 6, DIM)
    q, k, v = attention.project(x)
    whole = self_attend(attention, x, Rows(3, range(3)))
    lowest = attention(
        q[:, :, 4:],
        k[:, None],
        v[:, None],
        Rows(3, range(3)).lowest(),
        Rows(3, range(3)),
    )
    torch.testing.assert_close(lowest, whole[:, 4:])


def test_sets_of_keys_are_averaged(attention: Attention) -> None:
    x, others = torch.randn(1, 6, DIM), torch.randn(4, 6, DIM)
    q, _, _ = attention.project(x)
    _, k, v = attention.project(others)
    rows = Rows(3, range(3))
    single = [
        attention(q, k[i : i + 1, None], v[i : i + 1, None], rows, rows)
        for i in range(4)
    ]
    together = attention(q, k[None], v[None], rows, rows)
    torch.testing.assert_close(together, torch.stack(single).mean(0))


def test_heads_in_parts_are_the_same(
    attention: Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(2, 6, DIM)
    rows = Rows(3, range(3))
    q, _, _ = attention.project(x)
    _, k, v = attention.project(torch.randn(6, 6, DIM))
    k, v = k.unflatten(0, (2, 3)), v.unflatten(0, (2, 3))
    whole = attention(q, k, v, rows, rows)
    for limit in (1, 2 * 6 * 6, 3 * 6 * 6):  # one, two, and three and one head
        monkeypatch.setattr(layers, "CPU_BIAS_NUMEL", limit)
        with torch.no_grad():
            torch.testing.assert_close(attention(q, k, v, rows, rows), whole)


def test_tables_are_interpolated_for_another_grid(attention: Attention) -> None:
    x = torch.randn(1, 5 * 4, DIM)
    other = Attention(DIM, HEADS, table_size=(5, 4)).requires_grad_(False)
    other.load_state_dict(attention.state_dict() | tables(attention, (9, 7)))
    rows = Rows(5, range(5))
    torch.testing.assert_close(
        self_attend(attention, x, rows), self_attend(other, x, rows)
    )


def tables(attention: Attention, lengths: tuple[int, int]) -> dict[str, Tensor]:
    """Interpolate linearly between the centres of cells, by hand."""
    resized = {}
    for name, length in zip(("rel_pos_h", "rel_pos_w"), lengths, strict=True):
        table = getattr(attention, name)
        old = len(table)
        at = ((torch.arange(length) + 0.5) * old / length - 0.5).clamp(0, old - 1)
        low, part = at.long(), (at % 1)[:, None]
        high = (low + 1).clamp(max=old - 1)
        resized[name] = table[low] * (1 - part) + table[high] * part
    return resized


def test_a_block_is_two_residuals() -> None:
    torch.manual_seed(0)
    block = Block(DIM, HEADS, 2.0, table_size=(3, 2), drop_path=0.0)
    x, rows = torch.randn(2, 6, DIM), Rows(3, range(3))
    q, k, v = block.project(x)
    middle = x + self_attend(block.attn, block.norm1(x), rows)
    expected = middle + block.mlp(block.norm2(middle))
    result = block(x, q, k[:, None], v[:, None], rows, rows)
    torch.testing.assert_close(result, expected)


def test_patches_are_in_raster_order() -> None:
    embed = PatchEmbed(4, 3, DIM)
    picture = torch.randn(1, 3, 8, 12)
    tokens = embed(picture)
    assert tokens.shape == (1, 6, DIM)
    torch.testing.assert_close(tokens[:, 4], embed(picture[:, :, 4:, 4:8])[:, 0])


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    module = DropPath(0.25)
    dropped = module(torch.ones(4000, 2, 3))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (dropped == dropped[:, :1, :1]).all()
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)
    assert (module.eval()(torch.ones(9, 2)) == 1.0).all()
