// Vectors of LANES floats from the compiler's own extensions: the same text gives AVX-512, AVX2 and NEON. Images lie in
// the lanes ("lanes": [value][LANES]) or one after another ("rows": [image][stride]).
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512BW__)
#define LANES 16
#define REGISTERS 32
#elif defined(__AVX2__) && defined(__FMA__)
#define LANES 8
#define REGISTERS 16
#elif defined(__aarch64__)
#define LANES 4
#define REGISTERS 32
#else
#error "this processor has neither AVX2 with FMA nor NEON"
#endif

constexpr int L = LANES;
constexpr int GROUP = 32;          // images that are computed together; the sums of gradients are split at groups
constexpr int BLOCKS = GROUP / L;  // vectors of a group
constexpr int PAIRS = 3 * REGISTERS / 4;  // accumulators that fit beside the operands

typedef float V __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

static inline V load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
static inline void store(float* to, V value) { *reinterpret_cast<Unaligned*>(to) = value; }
static inline void store_first(float* to, V value, int count) { memcpy(to, &value, sizeof(float) * count); }
static inline V all(float value) { return value - V{}; }  // not `+`: that would have to turn -0 into 0
static inline V none() { return V{}; }

// Not where it is <= 0, so that a NaN is alive, as in PyTorch's ReLU.
static inline I dead(V value) { return value <= none(); }
static inline V kept(I dropped, V value) { return dropped ? none() : value; }

static inline size_t round_up(size_t count) { return (count + L - 1) / L * L; }

#if LANES == 16
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif
#if defined(__clang__) || __GNUC__ >= 12
#define INTERLEAVE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define INTERLEAVE(a, b, ...) __builtin_shuffle(a, b, I{__VA_ARGS__})
#endif

// A perfect shuffle of all values turns the bits of (row, column) by one place; log2(LANES) of them transpose.
static inline void transpose(V (&rows)[L]) {
#pragma GCC unroll 4
  for (int length = L; length > 1; length /= 2) {
    V shuffled[L];
#pragma GCC unroll 8
    for (int i = 0; i < L / 2; i++) {
      shuffled[2 * i] = INTERLEAVE(rows[i], rows[i + L / 2], LOW);
      shuffled[2 * i + 1] = INTERLEAVE(rows[i], rows[i + L / 2], HIGH);
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) rows[i] = shuffled[i];
  }
}

// `size` values of `count` images, the other lanes are zero.
static void rows_to_lanes(const float* rows, size_t stride, int count, float* lanes, size_t size) {
  size_t j = 0;
  for (; count == L && j + L <= size; j += L) {
    V block[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) block[i] = load(rows + i * stride + j);
    transpose(block);
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) store(lanes + (j + i) * L, block[i]);
  }
  for (; j < size; j++)
    for (int i = 0; i < L; i++) lanes[j * L + i] = i < count ? rows[i * stride + j] : 0.f;
}

static void lanes_to_rows(const float* lanes, float* rows, size_t stride, int count, size_t size) {
  size_t j = 0;
  for (; count == L && j + L <= size; j += L) {
    V block[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) block[i] = load(lanes + (j + i) * L);
    transpose(block);
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) store(rows + i * stride + j, block[i]);
  }
  for (; j < size; j++)
    for (int i = 0; i < count; i++) rows[i * stride + j] = lanes[j * L + i];
}

// Hands out parts of a buffer, each at a multiple of 64 bytes.
struct Arena {
  float* next;
  float* take(size_t count) {
    float* part = next;
    next += (count + 15) / 16 * 16;
    return part;
  }
};
static inline size_t part(size_t count) { return (count + 15) / 16 * 16; }
