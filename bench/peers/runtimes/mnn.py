"""MNN on one thread of the processor, in float32 unless the weights are int8: then as it advises for those."""


def version():
    import MNN

    return MNN.version()


def load(path):
    import MNN.expr as expr
    import MNN.nn as nn

    settings = {"backend": 0, "numThread": 1, "precision": "high", "memory": "low"}
    module = nn.load_module_from_file(str(path), [], [], runtime_manager=nn.create_runtime_manager((settings,)))

    def call(window):
        given = expr.placeholder(window.shape, expr.NCHW, expr.float)
        given.write(window)
        return module.forward([given])[0].read()

    return call
