// What the stand-ins for NVIDIA's libraries share. The numbers are those of cuda.h and nvml.h.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define API extern "C" __attribute__((visibility("default")))

static const char* setting(const char* name, const char* usual) {
  const char* given = std::getenv(name);
  return given ? given : usual;
}
