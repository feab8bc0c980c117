"""TVM's runtime by its C interface (tvm/ffi/c_api.h), without its Python packages."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from ctypes import POINTER, Structure, Union, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from typing import Any

from raydgp.bundle.runner.launcher import DeviceFault

_NONE, _INT, _TENSOR, _TEXT, _SMALL_BYTES, _OBJECTS, _BYTES = 0, 1, 7, 8, 12, 64, 66  # TVMFFITypeIndex
_HEADER_BYTES = 24  # of TVMFFIObject, before the content
_CPU = 1  # kDLCPU
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}  # kDLInt, kDLUInt, kDLFloat, kDLBool, by NumPy's letters
_LIBRARIES = ("libtvm_ffi.so", "libtvm_runtime.so")  # the second needs the first


class ByteArray(Structure):
    _fields_ = (("data", c_void_p), ("size", c_size_t))


class _Value(Union):
    _fields_ = (("integer", c_int64), ("real", c_double), ("pointer", c_void_p), ("text", c_char_p))


class Any_(Structure):
    """TVMFFIAny: a value, or a reference to an object."""

    _fields_ = (("kind", c_int32), ("small_size", c_int32), ("value", _Value))


class Tensor(Structure):
    """DLTensor, of an array that the caller keeps."""

    _fields_ = (
        ("data", c_void_p),
        ("device", c_int32 * 2),
        ("ndim", c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    )


class Object:
    """A reference to one of TVM's objects, given up with the last one to this."""

    def __init__(self, abi: Tvm, handle: int) -> None:
        self._abi, self.handle = abi, handle

    def __del__(self) -> None:
        self._abi.library.TVMFFIObjectDecRef(self.handle)


class Arguments:
    """Arguments of a call, made once for many of them."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.count, self._kept = len(values), values
        self.array = (Any_ * len(values))(*map(_passed, values))


class Tvm:
    """TVM's runtime, out of its two libraries.

    Args:
        libraries: their contents by name.

    Raises:
        DeviceFault: one is missing, or cannot be loaded here.
    """

    def __init__(self, libraries: Mapping[str, bytes]) -> None:
        try:
            self._loaded = [_load(name, libraries[name]) for name in _LIBRARIES]
        except KeyError as error:
            raise DeviceFault(f"the bundle carries no {error.args[0]}; make it again") from None
        except OSError as error:
            raise DeviceFault(f"TVM's runtime cannot be loaded here: {error}") from None
        self.library = self._loaded[0]
        self.library.TVMFFIFunctionGetGlobal.argtypes = (POINTER(ByteArray), POINTER(c_void_p))
        self.library.TVMFFIFunctionCall.argtypes = (c_void_p, POINTER(Any_), c_int32, POINTER(Any_))
        self.library.TVMFFIObjectDecRef.argtypes = (c_void_p,)
        self.library.TVMFFIErrorMoveFromRaised.argtypes = (POINTER(c_void_p),)
        self.library.TVMFFIErrorMoveFromRaised.restype = None

    def function(self, name: str) -> Object:
        """A global function.

        Raises:
            DeviceFault: there is none of this name.
        """
        text, handle = name.encode(), c_void_p()
        self.library.TVMFFIFunctionGetGlobal(
            byref(ByteArray(ctypes.cast(c_char_p(text), c_void_p), len(text))), byref(handle)
        )
        if not handle.value:
            raise DeviceFault(f"this TVM runtime has no {name}; make the bundle with the pinned version")
        return Object(self, handle.value)

    def call(self, function: Object, *values: Any) -> Any:
        """Calls a function with integers, text, objects, tensors; returns such a thing, or bytes.

        Raises:
            DeviceFault: it failed.
        """
        return self.call_with(function, Arguments(values))

    def call_with(self, function: Object, arguments: Arguments) -> Any:
        """As `call`."""
        result = Any_(_NONE)
        if self.library.TVMFFIFunctionCall(function.handle, arguments.array, arguments.count, byref(result)):
            raise DeviceFault(self._raised())
        return self._returned(result)

    def _returned(self, result: Any_) -> Any:
        if result.kind == _NONE:
            return None
        if result.kind == _SMALL_BYTES:
            return ctypes.string_at(ctypes.addressof(result) + Any_.value.offset, result.small_size)
        if result.kind < _OBJECTS:
            return result.value.integer
        owned = Object(self, result.value.pointer)
        if result.kind != _BYTES:
            return owned
        content = ByteArray.from_address(owned.handle + _HEADER_BYTES)
        return ctypes.string_at(content.data, content.size)

    def _raised(self) -> str:
        handle = c_void_p()
        self.library.TVMFFIErrorMoveFromRaised(byref(handle))
        if not handle.value:
            return "it failed without a word"
        error = Object(self, handle.value)
        kind, message = (ByteArray * 2).from_address(error.handle + _HEADER_BYTES)
        return f"{_text(kind)}: {_text(message)}"


def tensor(array: Any) -> Tensor:
    """A contiguous array as TVM takes it; it must be kept as long as this."""
    shape = (c_int64 * array.ndim)(*array.shape)
    strides = (c_int64 * array.ndim)(*(stride // array.itemsize for stride in array.strides))
    return Tensor(
        array.ctypes.data, (_CPU, 0), array.ndim, _CODES[array.dtype.kind], 8 * array.itemsize, 1, shape, strides, 0
    )


def _passed(value: Any) -> Any_:
    if isinstance(value, int):
        return Any_(_INT, 0, _Value(integer=value))
    if isinstance(value, bytes):
        return Any_(_TEXT, 0, _Value(text=value))
    if isinstance(value, Tensor):
        return Any_(_TENSOR, 0, _Value(pointer=ctypes.addressof(value)))
    kind = c_int32.from_address(value.handle + 8).value  # behind the count of references
    return Any_(kind, 0, _Value(pointer=value.handle))


def _load(name: str, content: bytes) -> ctypes.CDLL:
    """From memory: a folder of its own would be left behind where the process is killed."""
    file = os.memfd_create(name)
    with os.fdopen(file, "wb", closefd=False) as stream:
        stream.write(content)
    return ctypes.CDLL(f"/proc/self/fd/{file}", ctypes.RTLD_GLOBAL)


def _text(array: ByteArray) -> str:
    return ctypes.string_at(array.data, array.size).decode(errors="replace")
