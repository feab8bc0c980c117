// A stand-in for libnvidia-ml.so.1: one GPU, whose memory clock cannot be read.
#include <cstdio>

#include "fake_cuda.h"

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6 };
static bool initialised = false;
static int device_object;

API int nvmlInit_v2() { initialised = true; return SUCCESS; }
API int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  snprintf(text, size, "%s", setting("FAKE_CUDA_DRIVER", "550.54.15"));
  return initialised ? SUCCESS : UNINITIALIZED;
}
API int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  *device = &device_object;
  return strcmp(bus, "0000:65:00.0") ? NOT_FOUND : SUCCESS;
}
API int nvmlDeviceGetClockInfo(void* device, int kind, unsigned* mhz) {
  *mhz = 1410;
  return device != &device_object ? INVALID_ARGUMENT : kind == 1 ? SUCCESS : NOT_SUPPORTED;
}
API int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  *celsius = 41;
  return device != &device_object || sensor ? INVALID_ARGUMENT : SUCCESS;
}
API int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  *milliwatts = 250500;
  return device != &device_object ? INVALID_ARGUMENT : SUCCESS;
}
