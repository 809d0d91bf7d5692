"""A step captured into a CUDA graph, for tests that hold replays against calls."""

try:
    import torch
except ImportError:
    torch = None

ON_GPU = torch is not None and torch.cuda.is_available()
KIND = "cuda:0" if ON_GPU else "cpu"  # of tensors; those of the CPU go to the emulator


def captured(step, **options):
    """(replay, results): replay() does again what step() does, on the memory of the capture with what lies there then; `results` are
    what step() returned. The emulator has no graphs: there the step is called again, and must return what lies in the same memory.
    A call before makes what is made once. `options` are torch.cuda.graph's."""
    if not ON_GPU:
        return step, step()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, **options):
        results = step()
    return graph.replay, results


def late(array):
    """On a GPU alone: (side, copy), a stream that is busy for some time and then makes `copy`, zeros until then, the same as `array`.
    What reads `copy` on another stream than `side` reads zeros, unless something waits for the GPU meanwhile."""
    side, copy = torch.cuda.Stream(array.device), torch.zeros_like(array)
    torch.cuda.synchronize(array.device)
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        copy.copy_(array)
    return side, copy
