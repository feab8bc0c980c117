"""NVIDIA's driver by its C interface (CUDA Driver API): the functions that launching and timing take, all checked.

A name that ends in `_v2` is the one that libcuda exports for what the manual calls by the name without.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any

from raydgp.bundle.runner.launcher import DeviceFault

_LIBRARY = "libcuda.so.1"
_OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
_pointer, _handle = c_uint64, c_void_p  # CUdeviceptr; the other handles are pointers

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceGetPCIBusId": (c_char_p, c_int, c_int),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDevicePrimaryCtxRetain": (POINTER(_handle), c_int),
    "cuCtxSetCurrent": (_handle,),
    "cuCtxSynchronize": (),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc_v2": (POINTER(_pointer), c_size_t),
    "cuMemFree_v2": (_pointer,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoD_v2": (_pointer, c_void_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, _pointer, c_size_t),
    "cuMemcpyDtoD_v2": (_pointer, _pointer, c_size_t),
    "cuMemsetD8_v2": (_pointer, c_ubyte, c_size_t),
    "cuModuleLoadData": (POINTER(_handle), c_void_p),
    "cuModuleGetFunction": (POINTER(_handle), _handle, c_char_p),
    "cuModuleUnload": (_handle,),
    "cuLaunchKernel": (_handle, *[c_uint] * 7, _handle, c_void_p, c_void_p),
    "cuStreamCreate": (POINTER(_handle), c_uint),
    "cuStreamBeginCapture_v2": (_handle, c_int),
    "cuStreamEndCapture": (_handle, POINTER(_handle)),
    "cuGraphInstantiateWithFlags": (POINTER(_handle), _handle, c_uint64),
    "cuGraphLaunch": (_handle, _handle),
    "cuGraphDestroy": (_handle,),
    "cuGraphExecDestroy": (_handle,),
    "cuEventCreate": (POINTER(_handle), c_uint),
    "cuEventRecord": (_handle, _handle),
    "cuEventSynchronize": (_handle,),
    "cuEventElapsedTime": (POINTER(c_float), _handle, _handle),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
}
_CAPABILITY_MAJOR, _CAPABILITY_MINOR, _L2_BYTES = 75, 76, 38  # CU_DEVICE_ATTRIBUTE_...


class Driver:
    """The driver with a context on the first GPU that this process may see.

    Attributes:
        launch: `cuLaunchKernel`, which is called too often to be wrapped.

    Raises:
        DeviceFault: there is no driver, no GPU, or it cannot be used.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
            for name, arguments in _FUNCTIONS.items():
                function = getattr(self._library, name)
                function.argtypes, function.restype = arguments, c_int
        except (OSError, AttributeError) as error:
            raise DeviceFault(f"no usable NVIDIA driver here: {error}") from None
        self.launch = self._library.cuLaunchKernel
        self.call("cuInit", 0)
        count = c_int()
        self.call("cuDeviceGetCount", byref(count))
        if not count.value:
            raise DeviceFault("no NVIDIA GPU here")
        self._device, context = c_int(), c_void_p()
        self.call("cuDeviceGet", byref(self._device), 0)
        self.call("cuDevicePrimaryCtxRetain", byref(context), self._device)
        self.call("cuCtxSetCurrent", context)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function.

        Raises:
            MemoryError: the device has none left.
            DeviceFault: it failed otherwise; the message is the driver's name of the error.
        """
        self.check(getattr(self._library, name)(*arguments), name)

    def check(self, code: int, name: str) -> None:
        """As `call`, of what a function has returned."""
        if code == 0:
            return
        text = c_char_p()
        known = self._library.cuGetErrorName(code, byref(text)) == 0 and text.value
        message = f"{text.value.decode() if known and text.value else f'CUDA error {code}'} from {name}"
        raise MemoryError(message) if code == _OUT_OF_MEMORY else DeviceFault(message)

    def stream(self) -> c_void_p:
        """A new stream, which waits for what the default stream does."""
        stream = c_void_p()
        self.call("cuStreamCreate", byref(stream), 0)
        return stream

    def event(self) -> c_void_p:
        """A new event, which keeps the time."""
        event = c_void_p()
        self.call("cuEventCreate", byref(event), 0)
        return event

    def elapsed_s(self, begin: c_void_p, end: c_void_p) -> float:
        """Seconds between two events that have come."""
        elapsed_ms = c_float()
        self.call("cuEventElapsedTime", byref(elapsed_ms), begin, end)
        return 1e-3 * elapsed_ms.value

    def module(self, code: bytes) -> c_void_p:
        """Machine code, loaded."""
        module = c_void_p()
        self.call("cuModuleLoadData", byref(module), code)
        return module

    @property
    def name(self) -> str:
        return self._text("cuDeviceGetName")

    @property
    def bus(self) -> str:
        return self._text("cuDeviceGetPCIBusId")

    @property
    def architecture(self) -> str:
        """Such as `sm_90`."""
        return f"sm_{self._attribute(_CAPABILITY_MAJOR)}{self._attribute(_CAPABILITY_MINOR)}"

    @property
    def l2_bytes(self) -> int:
        return self._attribute(_L2_BYTES)

    @property
    def version(self) -> str:
        """The CUDA version that the driver speaks, such as `12.4`."""
        value = c_int()
        self.call("cuDriverGetVersion", byref(value))
        return f"{value.value // 1000}.{value.value % 1000 // 10}"

    @property
    def free_bytes(self) -> int:
        free, total = c_size_t(), c_size_t()
        self.call("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value

    def _text(self, function: str) -> str:
        text = ctypes.create_string_buffer(256)
        self.call(function, text, len(text), self._device)
        return text.value.decode()

    def _attribute(self, number: int) -> int:
        value = c_int()
        self.call("cuDeviceGetAttribute", byref(value), number, self._device)
        return value.value
