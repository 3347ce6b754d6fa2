"""Where a Core ML neural network keeps its weights, as data.

Source: ``NeuralNetwork.proto``, which coremltools publishes. ``LAYERS`` names every type of layer by its field of
``NeuralNetworkLayer``; ``INSIDE`` lists, for each message, only those fields that weights lie in or behind.
"""

from __future__ import annotations

from collections.abc import Mapping

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
NETWORK_FIELDS = (1, 2, 5, 6, 10, 100, 101, 200)
LAYER_FIELDS = (1, 2, 3, 4, 5, 10)  # besides the one that says what it does: names, ranks, whether it can be updated

# fmt: off
LAYERS: Mapping[int, str] = {
    100: "convolution", 120: "pooling", 130: "activation", 140: "innerProduct", 150: "embedding", 160: "batchnorm",
    165: "mvn", 170: "l2normalize", 175: "softmax", 180: "lrn", 190: "crop", 200: "padding", 210: "upsample",
    211: "resizeBilinear", 212: "cropResize", 220: "unary", 230: "add", 231: "multiply", 240: "average", 245: "scale",
    250: "bias", 260: "max", 261: "min", 270: "dot", 280: "reduce", 290: "loadConstant", 300: "reshape",
    301: "flatten", 310: "permute", 320: "concat", 330: "split", 340: "sequenceRepeat", 345: "reorganizeData",
    350: "slice", 400: "simpleRecurrent", 410: "gru", 420: "uniDirectionalLSTM", 430: "biDirectionalLSTM",
    500: "custom", 600: "copy", 605: "branch", 615: "loop", 620: "loopBreak", 625: "loopContinue",
    635: "rangeStatic", 640: "rangeDynamic", 660: "clip", 665: "ceil", 670: "floor", 680: "sign", 685: "round",
    700: "exp2", 710: "sin", 715: "cos", 720: "tan", 730: "asin", 735: "acos", 740: "atan", 750: "sinh", 755: "cosh",
    760: "tanh", 770: "asinh", 775: "acosh", 780: "atanh", 790: "erf", 795: "gelu", 815: "equal", 820: "notEqual",
    825: "lessThan", 827: "lessEqual", 830: "greaterThan", 832: "greaterEqual", 840: "logicalOr", 845: "logicalXor",
    850: "logicalNot", 855: "logicalAnd", 865: "modBroadcastable", 870: "minBroadcastable", 875: "maxBroadcastable",
    880: "addBroadcastable", 885: "powBroadcastable", 890: "divideBroadcastable", 895: "floorDivBroadcastable",
    900: "multiplyBroadcastable", 905: "subtractBroadcastable", 920: "tile", 925: "stack", 930: "gather",
    935: "scatter", 940: "gatherND", 945: "scatterND", 950: "softmaxND", 952: "gatherAlongAxis",
    954: "scatterAlongAxis", 960: "reverse", 965: "reverseSeq", 975: "splitND", 980: "concatND", 985: "transpose",
    995: "sliceStatic", 1000: "sliceDynamic", 1005: "slidingWindows", 1015: "topK", 1020: "argMin", 1025: "argMax",
    1040: "embeddingND", 1045: "batchedMatmul", 1065: "getShape", 1070: "loadConstantND", 1080: "fillLike",
    1085: "fillStatic", 1090: "fillDynamic", 1100: "broadcastToLike", 1105: "broadcastToStatic",
    1110: "broadcastToDynamic", 1120: "squeeze", 1125: "expandDims", 1130: "flattenTo2D", 1135: "reshapeLike",
    1140: "reshapeStatic", 1145: "reshapeDynamic", 1150: "rankPreservingReshape", 1155: "constantPad",
    1170: "randomNormalLike", 1175: "randomNormalStatic", 1180: "randomNormalDynamic", 1190: "randomUniformLike",
    1195: "randomUniformStatic", 1200: "randomUniformDynamic", 1210: "randomBernoulliLike",
    1215: "randomBernoulliStatic", 1220: "randomBernoulliDynamic", 1230: "categoricalDistribution", 1250: "reduceL1",
    1255: "reduceL2", 1260: "reduceMax", 1265: "reduceMin", 1270: "reduceSum", 1275: "reduceProd", 1280: "reduceMean",
    1285: "reduceLogSum", 1290: "reduceSumSquare", 1295: "reduceLogSumExp", 1313: "whereNonZero",
    1315: "matrixBandPart", 1320: "lowerTriangular", 1325: "upperTriangular", 1330: "whereBroadcastable",
    1350: "layerNormalization", 1400: "NonMaximumSuppression", 1450: "oneHot", 1455: "cumSum", 1460: "clampedReLU",
    1461: "argSort", 1465: "pooling3d", 1466: "globalPooling3d", 1470: "sliceBySize", 1471: "convolution3d",
}
# fmt: on

_DENSE = {20: "weights", 21: "bias"}

# Message -> field -> its name: a WeightParams, or "name:Message" for another message.
# fmt: off
INSIDE: Mapping[str, Mapping[int, str]] = {
    "activation": {25: "PReLU:ActivationPReLU", 71: "parametricSoftplus:ActivationParametricSoftplus"},
    "ActivationPReLU": {1: "alpha"},
    "ActivationParametricSoftplus": {1: "alpha", 2: "beta"},
    "batchedMatmul": {8: "weights", 9: "bias"},
    "batchnorm": {15: "gamma", 16: "beta", 17: "mean", 18: "variance"},
    "biDirectionalLSTM": {
        10: "activationsForwardLSTM:activation", 11: "activationsBackwardLSTM:activation",
        20: "weightParams:LSTMWeightParams",
    },
    "bias": {2: "bias"},
    "branch": {1: "ifBranch:NeuralNetwork", 2: "elseBranch:NeuralNetwork"},
    "convolution": {90: "weights", 91: "bias"},
    "convolution3d": {60: "weights", 61: "bias"},
    "custom": {20: "weights"},
    "embedding": _DENSE,
    "embeddingND": _DENSE,
    "gru": {
        10: "activations:activation",
        30: "updateGateWeightMatrix", 31: "resetGateWeightMatrix", 32: "outputGateWeightMatrix",
        50: "updateGateRecursionMatrix", 51: "resetGateRecursionMatrix", 52: "outputGateRecursionMatrix",
        70: "updateGateBiasVector", 71: "resetGateBiasVector", 72: "outputGateBiasVector",
    },
    "innerProduct": _DENSE,
    "layerNormalization": {3: "gamma", 4: "beta"},
    "loadConstant": {2: "data"},
    "loadConstantND": {2: "data"},
    "loop": {3: "conditionNetwork:NeuralNetwork", 4: "bodyNetwork:NeuralNetwork"},
    "LSTMWeightParams": {
        1: "inputGateWeightMatrix", 2: "forgetGateWeightMatrix", 3: "blockInputWeightMatrix",
        4: "outputGateWeightMatrix", 20: "inputGateRecursionMatrix", 21: "forgetGateRecursionMatrix",
        22: "blockInputRecursionMatrix", 23: "outputGateRecursionMatrix", 40: "inputGateBiasVector",
        41: "forgetGateBiasVector", 42: "blockInputBiasVector", 43: "outputGateBiasVector",
        60: "inputGatePeepholeVector", 61: "forgetGatePeepholeVector", 62: "outputGatePeepholeVector",
    },
    "scale": {2: "scale", 5: "bias"},
    "simpleRecurrent": {10: "activation:activation", 30: "weightMatrix", 31: "recursionMatrix", 32: "biasVector"},
    "uniDirectionalLSTM": {10: "activations:activation", 20: "weightParams:LSTMWeightParams"},
}
# fmt: on
