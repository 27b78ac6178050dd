"""The pass that looks for 4-bit grids by groups: every weight read once more, tensor by tensor, in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from kaibo.collect.censuses import Options
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting import Groups, Workspace, count_groups
from kaibo.vocabulary import Model, Tensor


def look_for_groups(model: Model, options: Options) -> Iterator[tuple[Tensor, tuple[Groups, ...]]]:
    """Each weight tensor with its groups, in the order of the model.

    Raises what reading raises; StoppedError after a signal.
    """
    local = threading.local()

    def look(tensor: Tensor) -> tuple[Groups, ...]:
        if not hasattr(local, "workspace"):
            local.workspace = Workspace()
        return count_groups(tensor, local.workspace)

    options.progress.begin(model.name, sum(tensor.size * tensor.dtype.itemsize for tensor in model.weights))
    with Stopping() as stopping, ThreadPoolExecutor(options.workers) as pool:
        waiting = [(tensor, pool.submit(look, tensor)) for tensor in model.weights]
        for tensor, found in waiting:
            if stopping.signal is not None:
                pool.shutdown(wait=True, cancel_futures=True)
                stopping.check()
            options.progress.advance(tensor.size * tensor.dtype.itemsize)
            yield tensor, found.result()
