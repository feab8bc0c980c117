// float16 and tensor cores on a CPU, for cuda_emulator.py.
//
// Each lane of a warp holds a whole fragment and computes all of it, where on a GPU it has a part of it: what
// lanes that disagree on an argument make of it depends on which of them is the last to store, and so on the order in
// which threads take turns. A fragment is full of NaN until it is loaded or filled.
#include <cstdint>
typedef _Float16 half;
struct half2 { half x, y; };
struct half4 { half x, y, z, w; };
struct uint4 { unsigned x, y, z, w; };
static half2 make_half2(half x, half y) { return {x, y}; }
static half4 make_half4(half x, half y, half z, half w) { return {x, y, z, w}; }
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static half __float2half_rn(float x) { return half(x); }
static unsigned __pack_half2(half x, half y) {
  unsigned short bits[2];
  memcpy(bits, &x, 2);
  memcpy(bits + 1, &y, 2);
  return bits[1] << 16 | bits[0];
}

namespace nvcuda::wmma {
struct matrix_a; struct matrix_b; struct accumulator; struct row_major; struct col_major;
enum layout_t { mem_row_major };

template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment {
  static_assert(M == 16 && N == 16 && K == 16);
  float x[16][16];  // by row and column; row and sum of a factor
  fragment() { for (auto& row : x) for (float& e : row) e = std::numeric_limits<float>::quiet_NaN(); }
};
template <class T> using sums = fragment<accumulator, 16, 16, 16, T>;

template <class Use, class Layout>
static void load_matrix_sync(fragment<Use, 16, 16, 16, half, Layout>& f, const half* from, unsigned stride) {
  static_assert(std::is_same_v<Layout, std::conditional_t<std::is_same_v<Use, matrix_a>, row_major, col_major>>);
  f = {};
  if (uintptr_t(from) % 32 || stride % 8) return;  // CUDA's programming guide, warp matrix functions
  for (int i = 0; i < 16; ++i) for (int k = 0; k < 16; ++k) f.x[i][k] = from[i * stride + k];
}
static void fill_fragment(sums<float>& f, float value) { for (auto& row : f.x) for (float& e : row) e = value; }
template <class A, class B> static void mma_sync(sums<float>& d, const A& a, const B& b, const sums<float>& c) {
  for (int i = 0; i < 16; ++i) for (int j = 0; j < 16; ++j) {
    float sum = c.x[i][j];
    for (int k = 0; k < 16; ++k) sum += a.x[i][k] * b.x[j][k];
    d.x[i][j] = sum;
  }
}
static void store_matrix_sync(float* to, const sums<float>& f, unsigned stride, layout_t) {
  for (int i = 0; i < 16; ++i) for (int j = 0; j < 16; ++j) to[i * stride + j] = stride % 4 ? 0 / 0.0f : f.x[i][j];
}
}
