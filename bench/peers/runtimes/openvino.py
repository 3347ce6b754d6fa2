"""OpenVINO on one thread of the processor, in int8 or float32, as the file says."""


def version():
    import openvino

    return openvino.__version__.split("-")[0]


def load(path):
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    model = ov.Core().compile_model(path, "CPU", settings)
    request = model.create_infer_request()

    def call(window):
        request.infer([window], share_inputs=True)
        return request.get_output_tensor(0).data

    return call
