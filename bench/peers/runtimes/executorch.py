"""ExecuTorch's Python runtime; XNNPACK on one thread."""


def version():
    from importlib.metadata import version as of

    import executorch.runtime  # noqa: F401  # so that it counts as imported
    import torch

    torch.set_num_threads(1)
    return of("executorch")


def load(path):
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")

    def call(window):
        return method.execute([torch.from_numpy(window)])[0].numpy()

    return call
