"""The TFLite schema as data: what a table's slots hold, so that the walker needs no generated code.

Source: ``schema.fbs`` of TensorFlow Lite, version 3. A slot is ``name:type``. Types are scalars (``u8``, ``i64``, …),
``string``, ``Table``, vectors ``[scalar]`` and ``[Table]``, and ``<Union>``, whose slot follows that of its type. A
table that is absent here holds scalars only.
"""

from __future__ import annotations

from collections.abc import Mapping

IDENTIFIER = b"TFL3"

WIDTHS: Mapping[str, int] = {"u8": 1, "i8": 1, "u16": 2, "i32": 4, "u32": 4, "f32": 4, "i64": 8, "u64": 8}

TABLES: Mapping[str, tuple[str, ...]] = {
    "Model": (
        "version:u32",
        "operator_codes:[OperatorCode]",
        "subgraphs:[SubGraph]",
        "description:string",
        "buffers:[Buffer]",
        "metadata_buffer:[i32]",
        "metadata:[Metadata]",
        "signature_defs:[SignatureDef]",
        "external_buffer_groups:[ExternalBufferGroup]",
        "external_buffers:[ExternalBuffer]",
    ),
    "OperatorCode": ("deprecated_builtin_code:i8", "custom_code:string", "version:i32", "builtin_code:i32"),
    "SubGraph": (
        "tensors:[Tensor]",
        "inputs:[i32]",
        "outputs:[i32]",
        "operators:[Operator]",
        "name:string",
        "debug_metadata_index:i32",
    ),
    "Tensor": (
        "shape:[i32]",
        "type:i8",
        "buffer:u32",
        "name:string",
        "quantization:QuantizationParameters",
        "is_variable:u8",
        "sparsity:SparsityParameters",
        "shape_signature:[i32]",
        "has_rank:u8",
        "variant_tensors:[VariantSubType]",
        "external_buffer:u32",
    ),
    "VariantSubType": ("shape:[i32]", "type:i8", "has_rank:u8"),
    "QuantizationParameters": (
        "min:[f32]",
        "max:[f32]",
        "scale:[f32]",
        "zero_point:[i64]",
        "details_type:u8",
        "details:<QuantizationDetails>",
        "quantized_dimension:i32",
    ),
    "CustomQuantization": ("custom:[u8]",),
    "BlockwiseQuantization": ("scales:i32", "zero_points:i32", "block_size:i32", "block_shape:[i32]"),
    "MultiAxisQuantization": ("scales:i32", "zero_points:i32", "block_size:i32", "quantized_dimensions:[i32]"),
    "SparsityParameters": ("traversal_order:[i32]", "block_map:[i32]", "dim_metadata:[DimensionMetadata]"),
    "DimensionMetadata": (
        "format:i8",
        "dense_size:i32",
        "array_segments_type:u8",
        "array_segments:<SparseIndexVector>",
        "array_indices_type:u8",
        "array_indices:<SparseIndexVector>",
    ),
    "Int32Vector": ("values:[i32]",),
    "Uint16Vector": ("values:[u16]",),
    "Uint8Vector": ("values:[u8]",),
    "Operator": (
        "opcode_index:u32",
        "inputs:[i32]",
        "outputs:[i32]",
        "builtin_options_type:u8",
        "builtin_options:<BuiltinOptions>",
        "custom_options:[u8]",
        "custom_options_format:i8",
        "mutating_variable_inputs:[u8]",
        "intermediates:[i32]",
        "large_custom_options_offset:u64",
        "large_custom_options_size:u64",
        "builtin_options_2_type:u8",
        "builtin_options_2:<BuiltinOptions2>",
        "debug_metadata_index:i32",
    ),
    "Buffer": ("data:[u8]", "offset:u64", "size:u64"),
    "ExternalBufferGroup": ("name:string",),
    "ExternalBuffer": ("id:u32", "group:u32", "offset:u64", "length:u64", "packing:string"),
    "Metadata": ("name:string", "buffer:u32"),
    "SignatureDef": (
        "inputs:[TensorMap]",
        "outputs:[TensorMap]",
        "signature_key:string",
        "deprecated_tag:string",
        "subgraph_index:u32",
    ),
    "TensorMap": ("name:string", "tensor_index:u32"),
    # Options of operators that hold more than scalars.
    "ConcatEmbeddingsOptions": (
        "num_channels:i32",
        "num_columns_per_channel:[i32]",
        "embedding_dim_per_channel:[i32]",
    ),
    "FullyConnectedOptions": (
        "fused_activation_function:i8",
        "weights_format:i8",
        "keep_num_dims:u8",
        "asymmetric_quantize_inputs:u8",
        "quantized_bias_type:i8",
        "quant_spec:[u8]",
    ),
    "ReshapeOptions": ("new_shape:[i32]",),
    "SqueezeOptions": ("squeeze_dims:[i32]",),
    "VarHandleOptions": ("container:string", "shared_name:string"),
    "CallOptions": ("subgraph:u32",),
    "IfOptions": ("then_subgraph_index:i32", "else_subgraph_index:i32"),
    "WhileOptions": ("cond_subgraph_index:i32", "body_subgraph_index:i32"),
    "CallOnceOptions": ("init_subgraph_index:i32",),
    "StablehloWhileOptions": ("cond_subgraph_index:i32", "body_subgraph_index:i32"),
    "BucketizeOptions": ("boundaries:[f32]",),
    "StablehloBroadcastInDimOptions": ("broadcast_dimensions:[i64]",),
    "StablehloSliceOptions": ("start_indices:[i64]", "limit_indices:[i64]", "strides:[i64]"),
    "StablehloConvolutionOptions": (
        "window_strides:[i64]",
        "padding:[i64]",
        "lhs_dilation:[i64]",
        "rhs_dilation:[i64]",
        "window_reversal:[u8]",
        "input_batch_dimension:i64",
        "input_feature_dimension:i64",
        "input_spatial_dimensions:[i64]",
        "kernel_input_feature_dimension:i64",
        "kernel_output_feature_dimension:i64",
        "kernel_spatial_dimensions:[i64]",
        "output_batch_dimension:i64",
        "output_feature_dimension:i64",
        "output_spatial_dimensions:[i64]",
        "feature_group_count:i64",
        "batch_group_count:i64",
        "precision_config:[i32]",
    ),
    "StablehloCustomCallOptions": (
        "call_target_name:string",
        "has_side_effect:u8",
        "backend_config:string",
        "api_version:i32",
        "called_computations:[i32]",
        "custom_attributes:[u8]",
    ),
    "StablehloReduceOptions": ("dimensions:[i64]", "body_subgraph_index:i32"),
    "StablehloScatterOptions": (
        "indices_are_sorted:u8",
        "update_window_dims:[i64]",
        "inserted_window_dims:[i64]",
        "scatter_dims_to_operand_dims:[i64]",
        "index_vector_dim:i64",
        "unique_indices:u8",
        "update_computation_subgraph_index:i32",
    ),
    "StablehloDynamicSliceOptions": ("slice_sizes:[i64]",),
    "StablehloPadOptions": ("edge_padding_low:[i64]", "edge_padding_high:[i64]", "interior_padding:[i64]"),
    "StablehloDotGeneralOptions": (
        "lhs_batching_dimensions:[i64]",
        "rhs_batching_dimensions:[i64]",
        "lhs_contracting_dimensions:[i64]",
        "rhs_contracting_dimensions:[i64]",
        "precision_config:[i32]",
    ),
    "StablehloReduceWindowOptions": (
        "window_dimensions:[i64]",
        "window_strides:[i64]",
        "base_dilations:[i64]",
        "window_dilations:[i64]",
        "padding:[i64]",
        "body_subgraph_index:i32",
    ),
    "StablehloGatherOptions": (
        "offset_dims:[i64]",
        "collapsed_slice_dims:[i64]",
        "start_index_map:[i64]",
        "index_vector_dim:i64",
        "slice_sizes:[i64]",
        "indices_are_sorted:u8",
    ),
    "StablehloTransposeOptions": ("permutation:[i64]",),
    "StableHLOCompositeOptions": (
        "name:string",
        "decomposition_subgraph_index:i32",
        "composite_attributes:[u8]",
        "composite_attributes_format:i8",
        "version:i32",
    ),
    "StablehloCaseOptions": ("branch_subgraph_indices:[i32]",),
}

# Union -> type number -> table; numbers that are absent stand for tables of scalars.
UNIONS: Mapping[str, Mapping[int, str]] = {
    "QuantizationDetails": {1: "CustomQuantization", 2: "BlockwiseQuantization", 3: "MultiAxisQuantization"},
    "SparseIndexVector": {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"},
    "BuiltinOptions": {
        3: "ConcatEmbeddingsOptions",
        8: "FullyConnectedOptions",
        16: "CallOptions",
        17: "ReshapeOptions",
        30: "SqueezeOptions",
        92: "IfOptions",
        93: "WhileOptions",
        103: "CallOnceOptions",
        111: "VarHandleOptions",
        115: "BucketizeOptions",
    },
    "BuiltinOptions2": {
        2: "StablehloBroadcastInDimOptions",
        3: "StablehloSliceOptions",
        4: "StablehloConvolutionOptions",
        5: "StablehloCustomCallOptions",
        6: "StablehloReduceOptions",
        7: "StablehloScatterOptions",
        9: "StablehloDynamicSliceOptions",
        10: "StablehloPadOptions",
        12: "StablehloDotGeneralOptions",
        13: "StablehloReduceWindowOptions",
        15: "StablehloWhileOptions",
        16: "StablehloGatherOptions",
        17: "StablehloTransposeOptions",
        21: "StableHLOCompositeOptions",
        23: "StablehloCaseOptions",
    },
}

RESOURCE = 13  # of TensorType: a handle
# TensorType -> element type and its bits; types of no fixed size (strings, resources, variants) are absent.
TYPES: Mapping[int, tuple[str, int]] = {
    0: ("float32", 32),
    1: ("float16", 16),
    2: ("int32", 32),
    3: ("uint8", 8),
    4: ("int64", 64),
    6: ("bool", 8),
    7: ("int16", 16),
    8: ("complex64", 64),
    9: ("int8", 8),
    10: ("float64", 64),
    11: ("complex128", 128),
    12: ("uint64", 64),
    15: ("uint32", 32),
    16: ("uint16", 16),
    17: ("int4", 4),
    18: ("bfloat16", 16),
    19: ("int2", 2),
    20: ("uint4", 4),
    21: ("float8_e4m3fn", 8),
    22: ("float8_e5m2", 8),
}

# The name of builtin operator n is the nth.
_NAMES = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
    FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
    LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH
    SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
    BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM
    ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE
    TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK
    LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL
    FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL
    REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND
    HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
    HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
    ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU
    DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE
    STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE
    STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
    STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT
    STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
    STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATORS: tuple[str, ...] = tuple(_NAMES.split())
