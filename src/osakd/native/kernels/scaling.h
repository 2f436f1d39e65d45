// Input scaling: images of bytes or floats to floats in a border of zeros, and the gradient back.
#pragma once
#include "plan.h"

static inline V floats(const float* from) { return load(from); }
static inline V floats(const uint8_t* from) {
  Bytes bytes;
  memcpy(&bytes, from, L);
  return __builtin_convertvector(__builtin_convertvector(bytes, I), V);
}

// factors, terms: as many vectors as channels, after which the channels begin anew.
template <class T>
static void scale_line(const T* from, float* to, int count, int channels, const float* factors, const float* terms) {
  int x = 0, v = 0;
  for (; x + L <= count; x += L, v = v + 1 == channels ? 0 : v + 1)
    store(to + x, floats(from + x) * load(factors + v * L) + load(terms + v * L));
  for (int j = v * L; x < count; x++, j++) to[x] = float(from[x]) * factors[j] + terms[j];
}

// The scaled images of a block in a border of zeros.
static void scale_block(const Call& call, int seed, int group, int block, float* rows) {
  const Stage& s = call.net.stages[0];
  const int channels = s.in, width = s.width * channels, count = call.net.count(group, block);
  const size_t first = size_t(group) * GROUP + block * L, image = size_t(s.height) * width;
  std::vector<float> factors(channels * L), terms(channels * L);
  for (int j = 0; j < channels * L; j++) {
    factors[j] = call.scale[seed * channels + j % channels];
    terms[j] = call.shift[seed * channels + j % channels];
  }
  for (int i = 0; i < L; i++) {
    float* to = rows + i * s.stride();
    if (i >= count || s.padding) memset(to, 0, sizeof(float) * s.stride());
    for (int y = 0; i < count && y < s.height; y++) {
      float* line = to + (y + s.padding) * s.line() + s.padding * channels;
      const size_t at = (first + i) * image + size_t(y) * width;
      if (call.bytes)
        scale_line(static_cast<const uint8_t*>(call.images[seed]) + at, line, width, channels, &factors[0], &terms[0]);
      else
        scale_line(static_cast<const float*>(call.images[seed]) + at, line, width, channels, &factors[0], &terms[0]);
    }
  }
}

// The gradient of one block's images, [image][row][column][channel] for each replica.
static void unscale_block(const Call& call, int replica, int group, int block, const float* dx, float* dimages) {
  const Stage& s = call.net.stages[0];
  const int width = s.width * s.in;
  const float* scale = call.scale + replica / call.net.each * s.in;
  const size_t first = size_t(replica) * call.net.images + size_t(group) * GROUP + block * L;
  for (int i = 0; i < call.net.count(group, block); i++)
    for (int y = 0; y < s.height; y++) {
      const float* from = dx + i * s.stride() + size_t(y + s.padding) * s.line() + s.padding * s.in;
      float* to = dimages + ((first + i) * s.height + y) * width;
      for (int x = 0; x < width; x++) to[x] = from[x] * scale[x % s.in];
    }
}
