"""Writes small ONNX files without a library: the wire format of Protocol Buffers by hand. Field numbers are those of
onnx.proto.
"""
import numpy as np

FLOAT, INT64 = 1, 7


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    """A whole number, or bytes, or text."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    kind, raw = (INT64, "<i8") if np.issubdtype(array.dtype, np.integer) else (FLOAT, "<f4")
    return b"".join(field(1, int(d)) for d in array.shape) + field(2, kind) + field(8, name) + field(9, array.astype(raw).tobytes())


def port(name, dims):
    """A float tensor; a dimension of None is free."""
    shape = b"".join(field(1, field(1, d) if d else field(2, "free")) for d in dims)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)


def node(op, inputs, outputs, **attributes):
    return (b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, f"{op}_{outputs[0]}") + field(4, op) +
            b"".join(field(5, attribute(name, value)) for name, value in attributes.items()))


def model(nodes, tensors, inputs, outputs, opset=17):
    """tensors: name -> array; inputs and outputs: name -> dims."""
    graph = (b"".join(field(1, n) for n in nodes) + field(2, "graph") + b"".join(field(5, tensor(n, a)) for n, a in tensors.items()) +
             b"".join(field(11, port(n, d)) for n, d in inputs.items()) + b"".join(field(12, port(n, d)) for n, d in outputs.items()))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, opset))
