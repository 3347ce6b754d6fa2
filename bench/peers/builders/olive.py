"""Olive's pass OnnxStaticQuantization."""


def default(model, windows, out):
    import numpy as np
    import olive
    from olive.data.registry import Registry

    @Registry.register_dataset()
    def speech_windows(**_):
        return [({"window": window}, 0) for window in np.load(windows)["window"]]

    data = {"name": "speech", "load_dataset_config": {"type": "speech_windows"}}
    olive.run(
        {
            "input_model": {"type": "OnnxModel", "model_path": str(model)},
            "data_configs": [data],
            "passes": {"quantise": {"type": "OnnxStaticQuantization", "data_config": "speech"}},
            "output_dir": str(out.parent),
            "cache_dir": str(out.with_name("cache")),
        }
    )
