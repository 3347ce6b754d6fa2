"""ncnn on one thread of the processor."""


def version():
    import ncnn

    return ncnn.__version__


def load(path):
    import ncnn
    import numpy as np

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))

    def call(window):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(window[0]))
        return np.array(extractor.extract("out0")[1])

    return call
