"""Fetching is tested against a server on this computer that answers as the hub does."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.constants
import pytest
import torch

from napari_seggpt.model import cards, zoo
from napari_seggpt.model.checkpoint import (
    CheckpointError,
    load_checkpoint,
    model_hash,
    save_checkpoint,
)
from napari_seggpt.model.config import TINY
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.model.zoo import MODELS, ModelUnavailableError, load_model

MakeModel = Callable[..., SegGPT]
NAME = "seggpt-vit-large"
URL = "https://huggingface.co/BAAI/SegGPT/resolve/main/seggpt_vit_large.pth"
COMMIT = "c" * 40
CHUNK = 1 << 14


class Hub(ThreadingHTTPServer):
    """Serves one large file: the hub answers with a redirect to its store."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag = hashlib.sha256(content).hexdigest()
        self.breaks_at: int | None = None  # serve so much, then nothing any more
        self.is_down = False
        self.ranges: list[str | None] = []  # of the requests for the content

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server
        if hub.is_down:
            self._answer(503)
        elif self.path.startswith("/store/"):
            self._send_content()
        elif self.path in (
            "/BAAI/SegGPT/resolve/main/seggpt_vit_large.pth",
            f"/BAAI/SegGPT/resolve/{COMMIT}/seggpt_vit_large.pth",
        ):
            self._answer(
                302,
                Location=f"http://localhost:{hub.server_port}/store/{hub.etag}",
                X_Repo_Commit=COMMIT,
                X_Linked_ETag=f'"{hub.etag}"',
                X_Linked_Size=str(len(hub.content)),
            )
        else:
            self._answer(404, X_Error_Code="EntryNotFound")

    def _send_content(self) -> None:
        hub = self.server
        asked = self.headers.get("Range")
        hub.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        size = len(hub.content)
        self._answer(
            206 if asked else 200,
            Content_Length=str(size - start),
            Content_Range=f"bytes {start}-{size - 1}/{size}" if asked else "",
        )
        self.wfile.write(hub.content[start : hub.breaks_at])
        if hub.breaks_at is not None:
            hub.is_down = True

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        self.close_connection = True
        for name, value in {
            "Connection": "close",
            "Content_Length": "0",
            **headers,
        }.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()


@pytest.fixture(scope="session")
def model(make_model: MakeModel) -> SegGPT:
    return make_model(replace(TINY, tap_indices=(1, 3), merge_index=1, drop_path=0.1))


@pytest.fixture(scope="session")
def official_file(model: SegGPT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "weights.pth"
    torch.save({"model": model.state_dict()}, path)
    assert path.stat().st_size > 8 * CHUNK
    return path


@pytest.fixture
def hub(official_file: Path) -> Iterator[Hub]:
    server = Hub(official_file.read_bytes())
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}
    )
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point everything that could leave this computer, or be on it already, here."""
    constants = huggingface_hub.constants
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.delenv("SEGGPT_WEIGHTS", raising=False)
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def small_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, NAME, replace(MODELS[NAME], size_bytes=123_000))


def test_a_model_is_fetched_once(
    hub: Hub, model: SegGPT, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[tuple[int, int]] = []
    with caplog.at_level(logging.INFO, logger="napari_seggpt"):
        loaded = load_model(NAME, progress=lambda *step: steps.append(step))
    assert model_hash(loaded) == model_hash(model)
    size = len(hub.content)
    assert steps[-1] == (size, size)
    assert len(steps) > 8
    assert steps == sorted(steps)
    assert "licence MIT" in caplog.text
    assert "123 kB" in caplog.text
    kept = home / "napari-seggpt" / NAME / "seggpt_vit_large.pth"
    assert kept.read_bytes() == hub.content
    assert not list(kept.parent.glob("*.part"))

    hub.is_down = True
    assert model_hash(load_model(NAME)) == model_hash(model)
    assert hub.ranges == [None]


def test_it_is_kept_where_the_caller_says(hub: Hub, tmp_path: Path, home: Path) -> None:
    load_model(NAME, cache_dir=tmp_path / "mine")
    assert (tmp_path / "mine" / NAME / "seggpt_vit_large.pth").exists()
    assert not home.exists()
    hub.is_down = True
    load_model(NAME, cache_dir=str(tmp_path / "mine"))


def test_an_interrupted_download_goes_on(hub: Hub, model: SegGPT) -> None:
    half = len(hub.content) // 2
    hub.breaks_at = half
    with pytest.raises(ModelUnavailableError):
        load_model(NAME)
    hub.breaks_at, hub.is_down = None, False
    steps: list[tuple[int, int]] = []
    loaded = load_model(NAME, progress=lambda *step: steps.append(step))
    assert model_hash(loaded) == model_hash(model)
    got = half - half % CHUNK
    assert hub.ranges == [None, f"bytes={got}-"]
    assert got < steps[0][0] <= got + CHUNK
    assert steps[-1] == (len(hub.content), len(hub.content))


def test_a_cancelled_download_goes_on(hub: Hub, model: SegGPT) -> None:
    class Cancelled(Exception):
        pass

    def cancel(done: int, _: int) -> None:
        if done >= 3 * CHUNK:
            raise Cancelled

    with pytest.raises(Cancelled):
        load_model(NAME, progress=cancel)
    assert model_hash(load_model(NAME)) == model_hash(model)
    assert hub.ranges == [None, f"bytes={2 * CHUNK}-"]


def test_another_version_is_fetched_from_the_beginning(
    hub: Hub, tmp_path: Path
) -> None:
    hub.breaks_at = len(hub.content) // 2
    with pytest.raises(ModelUnavailableError):
        load_model(NAME)
    hub.breaks_at, hub.is_down = None, False
    hub.content += b" "
    hub.etag = hashlib.sha256(hub.content).hexdigest()
    load_model(NAME)
    assert hub.ranges == [None, None]


def test_a_draft_that_is_too_long_is_begun_anew(hub: Hub, home: Path) -> None:
    folder = home / "napari-seggpt" / NAME
    folder.mkdir(parents=True)
    draft = folder / f"seggpt_vit_large.pth.{hub.etag[:16]}.part"
    draft.write_bytes(2 * hub.content)
    load_model(NAME)
    assert hub.ranges == [None]


def test_a_damaged_download_is_not_kept(hub: Hub, home: Path) -> None:
    hub.etag = "0" * 64
    with pytest.raises(ModelUnavailableError, match="damaged"):
        load_model(NAME)
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert [path.suffix for path in kept] in ([], [".lock"])


@pytest.mark.parametrize("trouble", ["down", "nobody", "offline", "gone", "full"])
def test_without_the_network_the_error_says_what_to_do(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    constants = huggingface_hub.constants
    hub.is_down = trouble == "down"
    if trouble == "nobody":
        template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    elif trouble == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif trouble == "gone":
        monkeypatch.setitem(MODELS, NAME, replace(MODELS[NAME], repo="BAAI/Gone"))
    elif trouble == "full":
        usage = SimpleNamespace(free=1000)
        monkeypatch.setattr(zoo.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelUnavailableError) as caught:
        load_model(NAME)
    message = str(caught.value)
    assert (URL if trouble != "gone" else "BAAI/Gone/resolve/main") in message
    assert str(home / "napari-seggpt" / NAME / "seggpt_vit_large.pth") in message
    assert "SEGGPT_WEIGHTS" in message
    assert "\n" not in message
    assert ("1 kB are free" in message) == (trouble == "full")


def test_weights_put_by_hand_are_used(
    hub: Hub, official_file: Path, model: SegGPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGGPT_WEIGHTS", str(official_file))
    for name in (NAME, "seggpt-vit-large-hf"):
        assert model_hash(load_model(name)) == model_hash(model)
    assert hub.ranges == []
    monkeypatch.setenv("SEGGPT_WEIGHTS", "nowhere/weights.pth")
    with pytest.raises(CheckpointError, match="nowhere"):
        load_model(NAME)


def test_what_other_programs_have_fetched_is_used(
    hub: Hub, home: Path, official_file: Path, model: SegGPT
) -> None:
    # The layout of the Hugging Face cache.
    repo = home / "hub" / "models--BAAI--SegGPT"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    (snapshot / "seggpt_vit_large.pth").write_bytes(official_file.read_bytes())
    assert model_hash(load_model(NAME)) == model_hash(model)
    assert hub.ranges == []


def test_files_are_loaded_by_path(
    official_file: Path, model: SegGPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (official_file, str(official_file)):
        assert model_hash(load_model(path)) == model_hash(model)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    save_checkpoint(model, tmp_path / "own")
    assert model_hash(load_model("~/own")) == model_hash(model)
    with pytest.raises(CheckpointError, match="no file"):
        load_model(tmp_path / "missing.safetensors")


def test_unknown_names_are_refused_with_the_known(hub: Hub) -> None:
    with pytest.raises(ValueError, match=r"builtin, seggpt-vit-large, .* 'seggtp'"):
        load_model("seggtp")


def test_the_builtin_model(
    model: SegGPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"builtin\.safetensors is missing"):
        load_model()
    (tmp_path / "weights").mkdir()
    save_checkpoint(model, tmp_path / "weights" / "builtin.safetensors")
    assert model_hash(load_model()) == model_hash(model)


def test_the_builtin_model_that_is_shipped() -> None:
    path = zoo.locate("builtin")
    if path is None:
        pytest.skip("the built-in weights are not there yet")
    assert load_checkpoint(path).config.isolated_prompts


def test_models_are_described_in_a_line(
    home: Path, official_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = home / "napari-seggpt" / "seggpt-vit-large-hf" / "model.safetensors"
    assert zoo.describe("seggpt-vit-large-hf") == (
        "seggpt-vit-large-hf: SegGPT ViT-L as in transformers, Apache-2.0, 1.48 GB, "
        "https://huggingface.co/BAAI/seggpt-vit-large/resolve/main/model.safetensors, "
        f"kept as {kept}"
    )
    monkeypatch.setenv("SEGGPT_WEIGHTS", str(official_file))
    size = f"{official_file.stat().st_size / 1000:.3g} kB"
    assert zoo.describe(NAME).endswith(f"MIT, {size}, {official_file}")
    with pytest.raises(KeyError):
        zoo.describe("seggtp")
