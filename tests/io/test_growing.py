import numpy as np
import pytest
import tifffile
import zarr

from napari_seggpt.io import StackError, open_stack
from napari_seggpt.io.growing import open_growing, written_frames


def write(folder, name, value):
    tifffile.imwrite(folder / f"{name}.tif", np.full((8, 9), value, np.uint8))


def test_a_file_has_arrived_when_its_size_stays(tmp_path):
    write(tmp_path, "frame1", 1)
    (tmp_path / "frame2.tif").write_bytes(b"half")
    frames = open_growing(tmp_path, open_stack)
    assert frames.look() == 0
    (tmp_path / "frame2.tif").write_bytes(b"halves")
    assert frames.look() == 1
    write(tmp_path, "frame2", 2)
    assert frames.look() == 1
    assert frames.look() == len(frames) == 2
    write(tmp_path, "frame10", 10)
    frames.look()
    assert frames.look() == 3
    assert [int(frames[i].max()) for i in range(3)] == [1, 2, 10]


def test_files_that_come_before_others_are_refused(tmp_path):
    """Labels would no longer be those of their frames."""
    write(tmp_path, "b", 1)
    frames = open_growing(tmp_path, open_stack)
    frames.look(), frames.look()
    write(tmp_path, "a", 2)
    with pytest.raises(StackError, match=r"after b\.tif"):
        frames.look()


@pytest.mark.parametrize("layout", [{"chunks": (1, 4, 9)}, {"chunks": (2, 8, 9)}])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_zarr_fills_chunk_by_chunk(tmp_path, layout, zarr_format):
    path = tmp_path / "in.zarr"
    array = zarr.create_array(
        path, shape=(6, 8, 9), dtype="u1", zarr_format=zarr_format, **layout
    )
    array[:2] = 1
    frames = open_growing(path, open_stack)
    shared = layout["chunks"][0] == 2  # then later frames may be on their way
    assert [frames.look(), frames.look()] == [0, 0 if shared else 2]
    array[2, :4] = 1
    frames.look()
    assert frames.look() == 2  # half of frame 2 is not there
    array[4:6] = 1
    frames.look()
    assert frames.look() == (4 if shared else 6)
    assert frames.look_no_more() == 6
    assert frames[5].max() == 1


def test_black_chunks_are_waited_for_in_the_last_frame_only(tmp_path):
    """Zarr stores none of them, as of the corners of images that were turned."""
    path = tmp_path / "in.zarr"
    array = zarr.create_array(path, shape=(5, 8, 9), dtype="u1", chunks=(1, 4, 9))
    array[0, :4] = 1
    frames = open_growing(path, open_stack)
    assert [frames.look(), frames.look()] == [0, 0]
    array[2, :4] = 1  # after a frame that is all black
    assert [frames.look(), frames.look()] == [1, 2]
    assert frames.look() == 2
    assert frames.look_no_more() == 3  # nobody waits for the rest


def test_a_chunk_that_is_still_written_has_not_arrived(tmp_path):
    path = tmp_path / "in.zarr"
    array = zarr.create_array(path, shape=(4, 8, 9), dtype="u1", chunks=(1, 8, 9))
    array[:] = np.random.default_rng(0).integers(1, 255, (4, 8, 9))
    file = path / "c" / "1" / "0" / "0"
    whole = file.read_bytes()
    frames = open_growing(path, open_stack)
    assert frames.look() == 0
    for size in (10, 20, len(whole)):
        file.write_bytes(whole[:size])
        assert frames.look() == 1  # and not those after it
    assert frames.look() == 4
    assert frames[1].min() > 0


def test_frames_that_share_a_chunk_arrive_with_a_later_one(tmp_path):
    path = tmp_path / "in.zarr"
    array = zarr.create_array(path, shape=(8, 8, 9), dtype="u1", chunks=(4, 8, 9))
    array[0] = 1
    frames = open_growing(path, open_stack)
    assert [frames.look(), frames.look()] == [0, 0]
    array[1:4] = 1
    assert [frames.look(), frames.look()] == [0, 0]
    array[4] = 1
    assert frames.look() == 4
    array[5] = 1
    frames.look()
    assert frames.look() == 4
    assert frames.look_no_more() == 8  # nobody waits for the rest


def test_a_sharded_zarr(tmp_path):
    path = tmp_path / "in.zarr"
    array = zarr.create_array(
        path, shape=(4, 8, 9), dtype="u1", chunks=(1, 4, 9), shards=(2, 8, 9)
    )
    array[:2] = 1
    frames = open_growing(path, open_stack)
    assert [frames.look(), frames.look()] == [0, 0]
    array[2] = 1
    assert frames.look() == 2


@pytest.mark.parametrize("num_shared", [1, 2])
def test_frames_that_are_written_are_known(tmp_path, num_shared):
    path = tmp_path / "in.zarr"
    array = zarr.create_array(
        path, shape=(9, 8, 9), dtype="u1", chunks=(num_shared, 4, 9)
    )
    array[0, :4] = 1
    with open_stack(path) as stack:  # there is no other one
        assert list(written_frames(stack)) == list(range(num_shared))
    array[1] = 1
    array[4] = 1  # the last one, after two that are black
    with open_stack(path) as stack:
        assert written_frames(stack) == ([0, 1, 4] if num_shared == 1 else [0, 1])
    array[5, :4] = 1  # half of it
    with open_stack(path) as stack:
        assert written_frames(stack) == ([0, 1, 4] if num_shared == 1 else [0, 1])


def test_all_files_are_written(tmp_path):
    write(tmp_path, "a", 1)
    write(tmp_path, "b", 1)
    with open_stack(tmp_path) as stack:
        assert list(written_frames(stack)) == [0, 1]


def test_what_cannot_grow_is_refused(tmp_path):
    write(tmp_path, "a", 1)
    with pytest.raises(StackError, match="to which frames can be added"):
        open_growing(tmp_path / "a.tif", open_stack)
