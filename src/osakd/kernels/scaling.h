// Input scaling: images of bytes or floats to floats in a border of zeros, and the gradient back.
#pragma once
#include "plan.h"

template <class T>
static void scale_line(const T* from, float* to, int count, int channels, const float* scale, const float* shift) {
  constexpr int MOST = 4;
  if (channels > MOST) {
    for (int x = 0; x < count; x += channels)
      for (int c = 0; c < channels; c++) to[x + c] = float(from[x + c]) * scale[c] + shift[c];
    return;
  }
  float scales[MOST * 16], shifts[MOST * 16];  // as many whole pixels as make whole vectors
  const int length = channels * 16;
  for (int j = 0; j < length; j++) scales[j] = scale[j % channels], shifts[j] = shift[j % channels];
  int x = 0;
  for (; x + length <= count; x += length)
    for (int j = 0; j < length; j++) to[x + j] = float(from[x + j]) * scales[j] + shifts[j];
  for (int j = 0; x + j < count; j++) to[x + j] = float(from[x + j]) * scales[j] + shifts[j];
}

// The scaled images of a block in a border of zeros.
static void scale_block(const Call& call, int seed, int group, int block, float* rows) {
  const Stage& s = call.net.stages[0];
  const int channels = s.in, width = s.width * channels, count = call.net.count(group, block);
  const size_t first = size_t(group) * GROUP + block * L, image = size_t(s.height) * width;
  const float *scale = call.scale + seed * channels, *shift = call.shift + seed * channels;
  for (int i = 0; i < L; i++) {
    float* to = rows + i * s.stride();
    if (i >= count || s.padding) memset(to, 0, sizeof(float) * s.stride());
    for (int y = 0; i < count && y < s.height; y++) {
      float* line = to + (y + s.padding) * s.line() + s.padding * channels;
      const size_t at = (first + i) * image + size_t(y) * width;
      if (call.bytes)
        scale_line(static_cast<const uint8_t*>(call.images[seed]) + at, line, width, channels, scale, shift);
      else
        scale_line(static_cast<const float*>(call.images[seed]) + at, line, width, channels, scale, shift);
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
