// Convolution (stride 1) -> max-pool 2 -> ReLU of one block of images, forward and backward.
#pragma once
#include "vectors.h"

struct Stage {
  int in, height, width, out, kernel, padding;

  int padded_height() const { return height + 2 * padding; }
  int padded_width() const { return width + 2 * padding; }
  int rows() const { return (padded_height() - kernel + 1) / 2; }      // of the pooled maps
  int columns() const { return (padded_width() - kernel + 1) / 2; }
  size_t image() const { return size_t(padded_height()) * padded_width() * in; }
  size_t pooled() const { return size_t(rows()) * columns() * out; }
  size_t weights() const { return size_t(out) * kernel * kernel * in; }
  int line() const { return padded_width() * in; }                     // floats of a row of the image
  int window() const { return kernel * in; }                           // floats of a row of the kernel
  int vectors() const { return (window() + L - 1) / L; }
  size_t spread() const { return size_t(out) * kernel * vectors() * L; }  // weights, each row in whole vectors
  // From image to image: reads pass the end by less than a vector, and images must not share the sets of a cache.
  size_t stride() const {
    const size_t size = round_up(image() + L);
    return size * sizeof(float) % 512 ? size : size + 16;
  }
};

// Where the value of a pooled pixel and channel is, in vectors.
struct Place {
  size_t origin, row, pixel, channel;
  size_t at(int y, int x, int c) const { return (origin + y * row + x * pixel + c * channel) * L; }
};
// As the padded image of the next stage, or by channels, as a linear layer's features are.
static inline Place inside(const Stage& next) {
  const size_t pixel = next.in, row = size_t(next.padded_width()) * pixel;
  return {next.padding * (row + pixel), row, pixel, 1};
}
static inline Place by_channels(const Stage& last) {
  const size_t columns = last.columns();
  return {0, columns, 1, last.rows() * columns};
}

constexpr int CHANNELS = PAIRS / 4;  // output channels that are computed together, four pixels each
constexpr uint8_t DEAD = 4;          // the winner of a window whose maximum is not positive

static void pack(const Stage& s, const float* weight, float* packed) {
  const int size = s.kernel * s.window(), blocks = (s.out + CHANNELS - 1) / CHANNELS;
  for (int b = 0, first = 0; b < blocks; b++) {
    const int count = s.out / blocks + (b < s.out % blocks);
    for (int j = 0; j < size; j++)
      for (int c = 0; c < count; c++) *packed++ = weight[size_t(first + c) * size + j];
    first += count;
  }
}

template <int C>
__attribute__((noinline)) static void convolve(const Stage& s, const float* x, const float* packed, const float* bias, int first, float* y,
                     const Place& to, uint8_t* winner) {
  const size_t line = size_t(s.line()) * L, right = size_t(s.in) * L;
  const int window = s.window(), rows = s.rows(), columns = s.columns();
  for (int py = 0; py < rows; py++)
    for (int px = 0; px < columns; px++) {
      V sum[C][4] = {};
      const float* w = packed;
      for (int ky = 0; ky < s.kernel; ky++) {
        const float* p = x + (2 * py + ky) * line + 2 * px * right;
        for (int j = 0; j < window; j++, p += L, w += C) {
          const V x0 = load(p), x1 = load(p + right), x2 = load(p + line), x3 = load(p + line + right);
#pragma GCC unroll 8
          for (int c = 0; c < C; c++) {
            const V one = all(w[c]);
            sum[c][0] += one * x0;
            sum[c][1] += one * x1;
            sum[c][2] += one * x2;
            sum[c][3] += one * x3;
          }
        }
      }
#pragma GCC unroll 8
      for (int c = 0; c < C; c++) {
        // The bias last: added first, it would decide near ties otherwise than PyTorch.
        const V own = all(bias ? bias[first + c] : 0.f);
        V most = sum[c][0] + own;
        I which = I{};
#pragma GCC unroll 3
        for (int t = 1; t < 4; t++) {
          const V other = sum[c][t] + own;
          const I wins = (other > most) | (other != other);  // the first of equal ones, the last NaN, as in PyTorch
          most = wins ? other : most;
          which = wins ? I{} + t : which;
        }
        const I lost = dead(most);
        store(y + to.at(py, px, first + c), kept(lost, most));
        const Bytes bytes = __builtin_convertvector(lost ? I{} + DEAD : which, Bytes);
        memcpy(winner + (size_t(py * columns + px) * s.out + first + c) * L, &bytes, L);
      }
    }
}

// x: lanes of the padded images; winner: [pooled pixel][channel][lane], which of the four pixels of a window passed.
static void forward_block(const Stage& s, const float* x, const float* packed, const float* bias, float* y,
                          const Place& to, uint8_t* winner, int count) {
  const int size = s.kernel * s.window(), blocks = (s.out + CHANNELS - 1) / CHANNELS;
  for (int b = 0, first = 0; b < blocks; b++) {
    const int channels = s.out / blocks + (b < s.out % blocks);
    const float* own = packed + size_t(first) * size;
    switch (channels) {
      case 1: convolve<1>(s, x, own, bias, first, y, to, winner); break;
      case 2: convolve<2>(s, x, own, bias, first, y, to, winner); break;
      case 3: convolve<3>(s, x, own, bias, first, y, to, winner); break;
#if REGISTERS == 32
      case 4: convolve<4>(s, x, own, bias, first, y, to, winner); break;
      case 5: convolve<5>(s, x, own, bias, first, y, to, winner); break;
      case 6: convolve<6>(s, x, own, bias, first, y, to, winner); break;
#endif
    }
    first += channels;
  }
  for (size_t j = 0; count < L && j < s.pooled(); j++) memset(winner + j * L + count, DEAD, L - count);
}

// Backward: at most a quarter of the gradients survive pooling and ReLU. They are listed, and lanes run along a row of
// the kernel: (kernel column, input channel).
struct Survivors {
  int32_t* at;  // where a survivor's window begins in the images of the block
  float* value;
};

// Adds the weights' gradient of one channel, K rows of N vectors.
template <int K, int N>
static void add_weights(const float* x, const Survivors& list, int count, int line, float* sum, int width) {
  V own[K][N];
  for (int y = 0; y < K; y++)
    for (int v = 0; v < N; v++) own[y][v] = load(sum + y * width + v * L);
  for (int e = 0; e < count; e++) {
    const float* p = x + list.at[e];
    const V value = all(list.value[e]);
#pragma GCC unroll 8
    for (int y = 0; y < K; y++)
#pragma GCC unroll 4
      for (int v = 0; v < N; v++) own[y][v] += value * load(p + y * line + v * L);
  }
  for (int y = 0; y < K; y++)
    for (int v = 0; v < N; v++) store(sum + y * width + v * L, own[y][v]);
}

// The channels that survived in one window of each image of a block, by the pixel that won.
struct Window {
  const int16_t* channels;  // [image][pixel][survivor]
  const int (*counts)[5];
  const float* value;  // lanes, from channel to channel `step`
  size_t step, stride;
  int out, line, width;
  const int32_t* shift;
};

// Adds the images' gradient of one window of each image. Image after image: the windows of one image overlap, and a
// load that overlaps a fresh store would wait for it.
template <int K, int N>
static void add_images(float* dx, const Window& window, const float* spread) {
  const int line = window.line, width = window.width;
  for (int q = 0; q < 4; q++)
    for (int i = 0; i < L; i++) {
      const int count = window.counts[i][q];
      if (!count) continue;
      const int16_t* channels = window.channels + (i * 4 + q) * window.out;
      const float* value = window.value + i;
      float* to = dx + i * window.stride + window.shift[q];
      V own[K][N];
#pragma GCC unroll 8
      for (int y = 0; y < K; y++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) own[y][v] = load(to + y * line + v * L);
      for (int e = 0; e < count; e++) {
        const V g = all(value[channels[e] * window.step]);
        const float* w = spread + size_t(channels[e]) * K * width;
#pragma GCC unroll 8
        for (int y = 0; y < K; y++)
#pragma GCC unroll 4
          for (int v = 0; v < N; v++) own[y][v] += g * load(w + y * width + v * L);
      }
#pragma GCC unroll 8
      for (int y = 0; y < K; y++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) store(to + y * line + v * L, own[y][v]);
    }
}

typedef void (*AddWeights)(const float*, const Survivors&, int, int, float*, int);
typedef void (*AddImages)(float*, const Window&, const float*);
struct Adders {
  AddWeights weights;
  AddImages images;
};
constexpr int most_vectors(int kernel) {
  const int fit = (REGISTERS - 3) / kernel;
  return fit < 1 ? 1 : fit < 4 ? fit : 4;
}
template <int K, int N>
static Adders adders_of(int vectors) {
  if constexpr (N > 1) {
    if (vectors < N) return adders_of<K, N - 1>(vectors);
  }
  return {add_weights<K, N>, add_images<K, N>};
}
static Adders adders(int kernel, int vectors) {
  switch (kernel) {
    case 1: return adders_of<1, most_vectors(1)>(vectors);
    case 2: return adders_of<2, most_vectors(2)>(vectors);
    case 3: return adders_of<3, most_vectors(3)>(vectors);
    case 4: return adders_of<4, most_vectors(4)>(vectors);
    case 5: return adders_of<5, most_vectors(5)>(vectors);
    case 6: return adders_of<6, most_vectors(6)>(vectors);
    default: return adders_of<7, most_vectors(7)>(vectors);
  }
}

// The rows of each kernel in whole vectors, the rest zero.
static void spread(const Stage& s, const float* weight, float* to) {
  const int width = s.vectors() * L;
  memset(to, 0, sizeof(float) * s.spread());
  for (int row = 0; row < s.out * s.kernel; row++)
    memcpy(to + size_t(row) * width, weight + size_t(row) * s.window(), sizeof(float) * s.window());
}

static size_t backward_scratch(const Stage& s) {
  return 2 * part(size_t(s.columns()) * L + 1) + part(size_t(L) * 4 * s.out / 2 + 16);
}

// x, dx (null: not wanted): rows of the padded images; g: lanes of the gradient; dw: as `spread`; db: lanes.
static void backward_block(const Stage& s, const float* x, const float* g, const Place& from, const uint8_t* winner,
                           const float* spread, float* dw, float* db, float* dx, Arena scratch) {
  const int columns = s.columns(), line = s.line(), width = s.vectors() * L, most = most_vectors(s.kernel);
  const int blocks = (s.vectors() + most - 1) / most;
  const int stride = int(s.stride());
  const int32_t shift[5] = {0, s.in, line, line + s.in, 0};
  const Survivors list = {reinterpret_cast<int32_t*>(scratch.take(size_t(columns) * L + 1)),
                          scratch.take(size_t(columns) * L + 1)};
  int16_t* const alive = reinterpret_cast<int16_t*>(scratch.take(size_t(L) * 4 * s.out / 2 + 16));
  if (dx) memset(dx, 0, sizeof(float) * stride * L);
  for (int py = 0; py < s.rows(); py++) {
    const uint8_t* row = winner + size_t(py) * columns * s.out * L;
    for (int c = 0; c < s.out; c++) {
      int count = 0;
      V total = load(db + c * L);
      for (int px = 0; px < columns; px++) {
        const uint8_t* which = row + (size_t(px) * s.out + c) * L;
        const float* value = g + from.at(py, px, c);
        const int32_t base = 2 * py * line + 2 * px * s.in;
        for (int i = 0; i < L; i++) {
          list.at[count] = base + i * stride + shift[which[i]];
          list.value[count] = value[i];
          count += which[i] < DEAD;
        }
        Bytes bytes;
        memcpy(&bytes, which, L);
        total += kept(__builtin_convertvector(bytes, I) == DEAD, load(value));
      }
      store(db + c * L, total);
      float* own = dw + size_t(c) * s.kernel * width;
      for (int b = 0, v = 0; b < blocks; b++) {
        const int vectors = s.vectors() / blocks + (b < s.vectors() % blocks);
        adders(s.kernel, vectors).weights(x + v * L, list, count, line, own + v * L, width);
        v += vectors;
      }
    }
    for (int px = 0; dx && px < columns; px++) {
      const uint8_t* which = row + size_t(px) * s.out * L;
      int counts[L][5] = {};
      for (int i = 0; i < L; i++)
        for (int c = 0; c < s.out; c++) {
          const int q = which[size_t(c) * L + i];
          alive[(i * 4 + (q & 3)) * s.out + counts[i][q & 3]] = int16_t(c);
          counts[i][q & 3] += q < DEAD;
        }
      const Window window = {alive,          counts, g + from.at(py, px, 0), from.channel * L, size_t(stride),
                             s.out,          line,   width,                  shift};
      for (int b = 0, v = 0; b < blocks; b++) {
        const int vectors = s.vectors() / blocks + (b < s.vectors() % blocks);
        float* to = dx + 2 * py * line + 2 * px * s.in + v * L;
        adders(s.kernel, vectors).images(to, window, spread + v * L);
        v += vectors;
      }
    }
  }
}
