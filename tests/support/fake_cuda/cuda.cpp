// A stand-in for libcuda.so.1: the driver's interface on the host's memory. A "cubin" is a library of cuda_emulator.py,
// whose kernels run on fibres while they are launched.
//
// Memory is bounded: what reaches beyond an allocation is an illegal address, as is a kernel's argument that points to
// none. That error sticks until the process ends, as on a GPU.
//
// FAKE_CUDA_FAULTS, as `kernel:fault,...`: what a kernel does instead of what it should.
//   illegal   an illegal address, which the next call that waits reports
//   hang      never ends, which the next call that waits notices
//   crash     the process dies of SIGSEGV
//   nan       the output is NaN
//   skip      nothing, so that it is fast and wrong
//   part      runs, but changes the first element of the output from its third launch on
// FAKE_CUDA_BYTES: memory of the device. FAKE_CUDA_NAME: of the device. FAKE_CUDA_ARCH: compute capability, as 80.
// FAKE_CUDA_SPEED: how many times faster its events' clock says that it is.
// FAKE_CUDA_GRAPHS: 0 for a driver that refuses to record launches.
// FAKE_CUDA_LOG: file that each launch adds its kernel's name and its arguments' addresses to.
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "fake_cuda.h"

typedef int CUresult;
typedef uint64_t CUdeviceptr;
enum {
  SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719, NOT_SUPPORTED = 801
};
static const std::map<CUresult, const char*> names = {
    {SUCCESS, "CUDA_SUCCESS"}, {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"}, {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"}, {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED"}};

struct Module { void* library; };
struct Function {
  std::string name;
  int (*run)(void**, int);
  const unsigned* shape;  // grid, block, number of arguments
  int launches = 0;
};
struct Event { double at = -1; };
struct Launch { Function* function; std::vector<void*> arguments; };
struct Graph { std::vector<Launch> launches; };
struct Stream { Graph* recording = nullptr; };

static bool initialised = false, current = false, hung = false;
static int context_object;
static CUresult sticky = SUCCESS;
static std::map<CUdeviceptr, size_t> memory;
static std::map<void*, size_t> pinned;
static size_t used = 0;
static CUdeviceptr cleared = 0;  // what was filled last: the output, where the caller clears that before each check

static size_t total() { return std::strtoull(setting("FAKE_CUDA_BYTES", "1073741824"), nullptr, 10); }
static double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}
static CUresult ready() { return !initialised ? NOT_INITIALIZED : !current ? INVALID_CONTEXT : sticky; }
// Bytes from an address to the end of its allocation; 0 outside of all
static size_t room(CUdeviceptr at) {
  auto next = memory.upper_bound(at);
  if (next == memory.begin()) return 0;
  --next;
  return at < next->first + next->second ? next->first + next->second - at : 0;
}
static CUresult waited() {
  while (hung) pause();
  return ready();
}
static std::string fault_of(const std::string& kernel) {
  std::string all = setting("FAKE_CUDA_FAULTS", ""), wanted = "," + kernel + ":";
  all = "," + all + ",";
  size_t at = all.find(wanted);
  if (at == std::string::npos) return "";
  at += wanted.size();
  return all.substr(at, all.find(',', at) - at);
}

API CUresult cuGetErrorName(CUresult code, const char** text) {
  auto found = names.find(code);
  *text = found == names.end() ? nullptr : found->second;
  return found == names.end() ? INVALID_VALUE : SUCCESS;
}
API CUresult cuInit(unsigned flags) {
  initialised = flags == 0;
  return flags ? INVALID_VALUE : SUCCESS;
}
API CUresult cuDriverGetVersion(int* version) { *version = 12040; return SUCCESS; }
API CUresult cuDeviceGetCount(int* count) {
  if (!initialised) return NOT_INITIALIZED;
  *count = 1;
  return SUCCESS;
}
API CUresult cuDeviceGet(int* device, int ordinal) {
  if (!initialised) return NOT_INITIALIZED;
  *device = 0;
  return ordinal ? INVALID_DEVICE : SUCCESS;
}
API CUresult cuDeviceGetName(char* text, int size, int device) {
  if (device) return INVALID_DEVICE;
  snprintf(text, size, "%s", setting("FAKE_CUDA_NAME", "Fibres"));
  return SUCCESS;
}
API CUresult cuDeviceGetPCIBusId(char* text, int size, int device) {
  if (device) return INVALID_DEVICE;
  snprintf(text, size, "0000:65:00.0");
  return SUCCESS;
}
API CUresult cuDeviceGetAttribute(int* value, int attribute, int device) {
  int arch = atoi(setting("FAKE_CUDA_ARCH", "80"));
  switch (attribute) {
    case 38: *value = 1 << 20; break;  // L2_CACHE_SIZE
    case 75: *value = arch / 10; break;  // COMPUTE_CAPABILITY_MAJOR
    case 76: *value = arch % 10; break;  // COMPUTE_CAPABILITY_MINOR
    default: return INVALID_VALUE;
  }
  return device ? INVALID_DEVICE : SUCCESS;
}
API CUresult cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = &context_object;
  return device ? INVALID_DEVICE : initialised ? SUCCESS : NOT_INITIALIZED;
}
API CUresult cuCtxSetCurrent(void* context) {
  current = context == &context_object;
  return current ? SUCCESS : INVALID_CONTEXT;
}
API CUresult cuCtxSynchronize() { return waited(); }

API CUresult cuMemGetInfo_v2(size_t* free, size_t* all) {
  *free = total() - used;
  *all = total();
  return ready();
}
API CUresult cuMemAlloc_v2(CUdeviceptr* at, size_t size) {
  if (CUresult error = ready()) return error;
  if (!size) return INVALID_VALUE;
  if (used + size > total()) return OUT_OF_MEMORY;
  void* found;
  if (posix_memalign(&found, 256, size)) return OUT_OF_MEMORY;
  memset(found, 0x55, size);  // it is never zero by chance
  used += size;
  memory[*at = CUdeviceptr(found)] = size;
  return SUCCESS;
}
API CUresult cuMemFree_v2(CUdeviceptr at) {
  if (CUresult error = ready()) return error;
  auto found = memory.find(at);
  if (found == memory.end()) return INVALID_VALUE;
  used -= found->second;
  memory.erase(found);
  free((void*)at);
  return SUCCESS;
}
API CUresult cuMemHostAlloc(void** at, size_t size, unsigned) {
  if (CUresult error = ready()) return error;
  *at = malloc(size);
  pinned[*at] = size;
  return *at ? SUCCESS : OUT_OF_MEMORY;
}
API CUresult cuMemFreeHost(void* at) {
  if (CUresult error = ready()) return error;
  if (!pinned.erase(at)) return INVALID_VALUE;
  free(at);
  return SUCCESS;
}
static CUresult copy(void* to, const void* from, size_t size, CUdeviceptr first, CUdeviceptr second) {
  if (CUresult error = waited()) return error;
  for (CUdeviceptr each : {first, second})
    if (each && room(each) < size) return INVALID_VALUE;
  memmove(to, from, size);
  return SUCCESS;
}
API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t size) {
  return copy((void*)to, from, size, to, 0);
}
API CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t size) {
  return copy(to, (void*)from, size, from, 0);
}
API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size) {
  return copy((void*)to, (void*)from, size, to, from);
}
API CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char byte, size_t size) {
  if (CUresult error = ready()) return error;
  if (room(to) < size) return INVALID_VALUE;
  memset((void*)to, byte, size);
  cleared = to;
  return SUCCESS;
}

API CUresult cuModuleLoadData(void** module, const void* image) {
  if (CUresult error = ready()) return error;
  const Elf64_Ehdr* header = static_cast<const Elf64_Ehdr*>(image);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG)) return INVALID_IMAGE;
  size_t size = header->e_shoff + size_t(header->e_shnum) * header->e_shentsize;
  static int counter = 0;
  char path[64];
  snprintf(path, sizeof path, "/tmp/fake-cubin-%d-%d.so", getpid(), counter++);
  FILE* file = fopen(path, "wb");
  bool whole = file && fwrite(image, 1, size, file) == size;
  if (file) fclose(file);
  void* library = whole ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path);
  if (!library) return INVALID_IMAGE;
  *module = new Module{library};
  return SUCCESS;
}
API CUresult cuModuleUnload(void* module) {
  if (CUresult error = ready()) return error;
  dlclose(static_cast<Module*>(module)->library);
  delete static_cast<Module*>(module);
  return SUCCESS;
}
API CUresult cuModuleGetFunction(void** function, void* module, const char* name) {
  if (CUresult error = ready()) return error;
  void* library = static_cast<Module*>(module)->library;
  void *run = dlsym(library, (std::string("run_") + name).c_str()),
       *shape = dlsym(library, (std::string("shape_") + name).c_str());
  if (!run || !shape) return NOT_FOUND;
  *function = new Function{name, (int (*)(void**, int))run, (const unsigned*)shape};
  return SUCCESS;
}

static CUresult run(const Launch& launch) {
  Function& function = *launch.function;
  const unsigned count = launch.arguments.size();
  void* pointers[64];
  for (unsigned i = 0; i < count; ++i) {
    pointers[i] = launch.arguments[i];
    if (!room(CUdeviceptr(pointers[i]))) { sticky = ILLEGAL_ADDRESS; return SUCCESS; }
  }
  ++function.launches;
  if (FILE* log = std::getenv("FAKE_CUDA_LOG") ? fopen(std::getenv("FAKE_CUDA_LOG"), "a") : nullptr) {
    fputs(function.name.c_str(), log);
    for (unsigned i = 0; i < count; ++i) fprintf(log, " %p", pointers[i]);
    fputs("\n", log);
    fclose(log);
  }
  const std::string fault = fault_of(function.name);
  float* out = (float*)cleared;
  if (fault == "illegal") { sticky = ILLEGAL_ADDRESS; return SUCCESS; }
  if (fault == "hang") { hung = true; return SUCCESS; }
  if (fault == "crash") { *(volatile int*)8 = 0; }
  if (fault == "skip") return SUCCESS;
  if (fault == "nan") {
    for (size_t i = 0; i < room(cleared) / 4; ++i) out[i] = std::numeric_limits<float>::quiet_NaN();
    return SUCCESS;
  }
  if (function.run(pointers, 0)) sticky = LAUNCH_FAILED;
  if (fault == "part" && function.launches > 2) out[0] += 100;
  return SUCCESS;
}

API CUresult cuLaunchKernel(
    void* given, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
    void* given_stream, void** parameters, void** extra) {
  if (CUresult error = ready()) return error;
  Stream* stream = static_cast<Stream*>(given_stream);
  if (hung) return SUCCESS;  // queued behind what never ends
  Function& function = *static_cast<Function*>(given);
  const unsigned shape[] = {gx, gy, gz, bx, by, bz};
  if (memcmp(shape, function.shape, sizeof shape) || shared || !stream || extra || !parameters) return INVALID_VALUE;
  Launch launch{&function, {}};
  for (unsigned i = 0; i < function.shape[6]; ++i) launch.arguments.push_back(*static_cast<void**>(parameters[i]));
  if (!stream->recording) return run(launch);
  stream->recording->launches.push_back(launch);  // its arguments are read now, as by a driver
  return SUCCESS;
}

API CUresult cuStreamCreate(void** stream, unsigned flags) {
  *stream = new Stream;
  return flags ? INVALID_VALUE : ready();
}
API CUresult cuStreamBeginCapture_v2(void* stream, int mode) {
  if (CUresult error = ready()) return error;
  if (!strcmp(setting("FAKE_CUDA_GRAPHS", "1"), "0") || mode != 2) return NOT_SUPPORTED;
  static_cast<Stream*>(stream)->recording = new Graph;
  return SUCCESS;
}
API CUresult cuStreamEndCapture(void* stream, void** graph) {
  *graph = static_cast<Stream*>(stream)->recording;
  static_cast<Stream*>(stream)->recording = nullptr;
  return *graph ? ready() : INVALID_VALUE;
}
API CUresult cuGraphInstantiateWithFlags(void** ready_graph, void* graph, unsigned long long flags) {
  *ready_graph = new Graph(*static_cast<Graph*>(graph));
  return flags ? INVALID_VALUE : ready();
}
API CUresult cuGraphDestroy(void* graph) { delete static_cast<Graph*>(graph); return ready(); }
API CUresult cuGraphExecDestroy(void* graph) { delete static_cast<Graph*>(graph); return ready(); }
API CUresult cuGraphLaunch(void* graph, void* stream) {
  if (!stream) return INVALID_VALUE;
  for (const Launch& launch : static_cast<Graph*>(graph)->launches) {
    CUresult error = ready();
    if (error || hung) return error;
    if ((error = run(launch))) return error;
  }
  return ready();
}

API CUresult cuEventCreate(void** event, unsigned flags) {
  *event = new Event;
  return flags ? INVALID_VALUE : ready();
}
API CUresult cuEventRecord(void* event, void*) {
  static_cast<Event*>(event)->at = now();
  return ready();
}
API CUresult cuEventSynchronize(void* event) {
  CUresult error = waited();
  return error ? error : static_cast<Event*>(event)->at < 0 ? INVALID_HANDLE : SUCCESS;
}
API CUresult cuEventElapsedTime(float* ms, void* begin, void* end) {
  *ms = 1e3 / atof(setting("FAKE_CUDA_SPEED", "1")) * (static_cast<Event*>(end)->at - static_cast<Event*>(begin)->at);
  return ready();
}
