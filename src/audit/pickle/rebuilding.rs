//! The imports with which pickles rebuild tensors, arrays and plain values, each group with the reason why it is taken for harmless.
//!
//! That of tensors is what `torch.load(weights_only=True)` takes (PyTorch ([`crate::pins::TORCH`]), `torch/_weights_only_unpickler.py`).

/// Modules, names of them, and why they stand in pickles of weights.
type Row = (&'static [&'static str], &'static [&'static str], &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (&["torch._utils"], &[
        "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter", "_rebuild_parameter_with_state",
        "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_nested_tensor", "_rebuild_wrapper_subclass",
        "_rebuild_meta_tensor_no_storage", "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor",
        "_rebuild_xla_tensor",
    ], "makes a tensor of a storage, strides and a shape"),
    (&["torch._tensor"], &["_rebuild_from_type", "_rebuild_from_type_v2"], "makes a tensor of a subclass of what one of the above made"),
    (&["torch"], &[
        "Tensor", "Size", "device", "dtype", "Generator", "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "ByteTensor", "CharTensor",
        "ShortTensor", "IntTensor", "LongTensor", "BoolTensor", "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage",
        "ByteStorage", "CharStorage", "ShortStorage", "IntStorage", "LongStorage", "BoolStorage", "ComplexFloatStorage",
        "ComplexDoubleStorage", "QUInt8Storage", "QInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage",
        "per_tensor_affine", "per_channel_affine", "per_tensor_symmetric", "per_channel_symmetric", "per_channel_affine_float_qparams",
        "strided", "sparse_coo", "sparse_csr", "contiguous_format", "channels_last", "preserve_format",
        "float", "float16", "float32", "float64", "double", "half", "bfloat16", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32",
        "int64", "short", "int", "long", "bool", "complex32", "complex64", "complex128", "cfloat", "cdouble", "quint8", "qint8", "qint32", "quint4x2",
        "quint2x4", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
    ], "a type of tensors, storages or elements"),
    (&["torch.cuda", "torch.sparse"], &[
        "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "ByteTensor", "CharTensor", "ShortTensor", "IntTensor", "LongTensor",
        "BoolTensor", "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "ByteStorage", "CharStorage", "ShortStorage",
        "IntStorage", "LongStorage", "BoolStorage",
    ], "a type of tensors or storages of an older PyTorch"),
    (&["torch.storage"], &["UntypedStorage", "TypedStorage", "_TypedStorage", "_UntypedStorage"], "a type of storages"),
    (&["torch.nn.parameter"], &["Parameter", "Buffer", "UninitializedParameter"], "a tensor that is trained"),
    (&["torch.serialization"], &["_get_layout"], "a layout of tensors by its name"),
    (&["torch.jit._pickle"], &[
        "build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "build_tensor_from_id", "restore_type_tag",
    ], "lists of a TorchScript archive"),
    (&["numpy.core.multiarray", "numpy._core.multiarray"], &["_reconstruct", "scalar"], "makes an array or a number of bytes"),
    (&["numpy.core.numeric", "numpy._core.numeric"], &["_frombuffer"], "makes an array of bytes"),
    (&["numpy"], &[
        "ndarray", "dtype", "generic", "bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "intc", "uintc", "longlong",
        "float16", "float32", "float64", "longdouble", "complex64", "complex128", "str_", "bytes_", "datetime64", "timedelta64", "int_", "float_",
    ], "a type of arrays or their elements"),
    (&["numpy.dtypes"], &[
        "BoolDType", "Int8DType", "Int16DType", "Int32DType", "Int64DType", "UInt8DType", "UInt16DType", "UInt32DType", "UInt64DType",
        "Float16DType", "Float32DType", "Float64DType", "Complex64DType", "Complex128DType", "BytesDType", "StrDType", "LongDoubleDType",
    ], "a type of elements"),
    (&["numpy.random._pickle"], &["__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"], "a generator of random numbers"),
    (&["numpy.random._mt19937"], &["MT19937"], "a generator of random numbers"),
    (&["numpy.random._pcg64"], &["PCG64", "PCG64DXSM"], "a generator of random numbers"),
    (&["scipy.sparse._csr", "scipy.sparse.csr"], &["csr_matrix", "csr_array"], "a sparse matrix"),
    (&["joblib.numpy_pickle"], &["NumpyArrayWrapper", "NDArrayWrapper"], "says that an array follows in the file"),
    (&["collections"], &["OrderedDict", "defaultdict", "Counter", "deque"], "a container"),
    (&["builtins", "__builtin__"], &[
        "set", "frozenset", "bytearray", "bytes", "complex", "slice", "int", "long", "float", "str", "unicode", "bool", "list", "dict", "tuple",
        "object", "range", "xrange", "Ellipsis", "NotImplemented",
    ], "a container, a number or a text"),
    (&["copyreg", "copy_reg"], &["_reconstructor", "__newobj__", "__newobj_ex__"], "makes an object of a class that is named beside it"),
    (&["_codecs"], &["encode"], "how protocol 2 writes bytes"),
    (&["datetime"], &["datetime", "date", "time", "timedelta", "timezone"], "a time"),
    (&["decimal", "_decimal"], &["Decimal"], "a number"),
    (&["fractions"], &["Fraction"], "a number"),
    (&["uuid"], &["UUID"], "a number"),
    (&["array"], &["array", "_array_reconstructor"], "numbers"),
    (&["random"], &["Random"], "a generator of random numbers"),
    (&["pathlib", "pathlib._local"], &[
        "Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath",
    ], "the text of a path; nothing is opened"),
    (&["argparse"], &["Namespace"], "names with values"),
    (&["enum"], &["Enum", "IntEnum", "Flag", "IntFlag"], "a number with a name"),
    (&["re"], &["_compile"], "a pattern of text"),
    (&["_regex"], &["compile"], "a pattern of text"),
    (&["logging"], &["getLogger"], "a logger by its name; nothing is written"),
];

/// Whether an import is one with which values are rebuilt.
pub(super) fn rebuilds(module: &str, name: &str) -> bool {
    ROWS.iter().any(|(modules, names, _)| modules.contains(&module) && names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_each_group_has_its_reason() {
        assert!(rebuilds("torch", "float16") && rebuilds("copy_reg", "_reconstructor"));
        assert!(!rebuilds("torch", "float16.x") && !rebuilds("torch.nn", "float16") && !rebuilds("builtins", "eval"));
        assert!(ROWS.iter().all(|(modules, names, why)| !modules.is_empty() && !names.is_empty() && why.len() > 5));
    }
}
