"""Measure how long the window does not answer while the built-in model labels a stack.

A script to run by hand on a quiet machine with a screen, or under ``xvfb-run``::

    python tests/benchmarks/window_gaps.py [--limit 50] [--rest 6]

A person who paints gives the model so many seconds to be loaded; with ``--rest 0`` the
run is begun at once, and torch is imported meanwhile.
"""

import argparse
import os
import sys
import tempfile
import time

TICK_MS = 5
WAIT_SECONDS = 600


def main() -> None:
    """Open napari with the sample of cells, label all frames, and print the gaps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=50, metavar="MS")
    parser.add_argument("--rest", type=float, default=6.0, metavar="SECONDS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
            os.environ[name] = home
        os.environ["NAPARI_SEGGPT_DATA"] = home
        gaps = measure(options.rest)
    long = [round(gap) for gap in gaps if gap > options.limit]
    sys.stdout.write(
        f"{len(gaps)} ticks, {len(long)} of them more than {options.limit} ms apart: "
        f"{sorted(long, reverse=True)[:20]}; load {os.getloadavg()[0]:.1f}\n"
    )


def measure(rest: float) -> list[float]:
    """Return the milliseconds between ticks of the window's timer during a run."""
    import napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-seggpt")
    app, workspace = QApplication.instance(), dock.workspace

    def wait(until) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not until() and time.monotonic() < end:
            app.processEvents()
            time.sleep(0.001)

    dock.links.follow("cells")
    wait(lambda: workspace.active and not workspace.active.is_scanning)
    wait(dock.run_panel.run_button.isEnabled)
    begin = time.monotonic() + rest
    wait(lambda: time.monotonic() > begin)
    gaps: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(1000 * (now - last))
        last = now

    timer = QTimer()
    timer.timeout.connect(tick)
    dock.run_panel.run_button.click()
    last = time.perf_counter()
    timer.start(TICK_MS)
    wait(lambda: not workspace.is_busy)
    timer.stop()
    viewer.close()
    return gaps


if __name__ == "__main__":
    main()
