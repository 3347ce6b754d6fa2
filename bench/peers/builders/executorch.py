"""PT2E with XNNPACK's quantizer, delegated to XNNPACK."""


def default(model, windows, out):
    import numpy as np
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    program = torch.export.load(model)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(program.module(), quantizer)
    for window in np.load(windows)["window"]:
        prepared(torch.from_numpy(window[None]))
    quantised = torch.export.export(convert_pt2e(prepared), program.example_inputs[0])
    edge = to_edge_transform_and_lower(quantised, partitioner=[XnnpackPartitioner()])
    out.write_bytes(edge.to_executorch().buffer)
