// Linear layers of a group of images: products with the images in lanes, and the weights' gradient with lanes along the
// features.
#pragma once
#include "vectors.h"

constexpr int OUTPUTS = PAIRS / BLOCKS;  // outputs that are computed together

// y[block][output] = sum over j of a[output * down + j * right] x[block][j] (+ bias), for R outputs.
template <int R>
static void products(const float* a, size_t down, size_t right, const float* bias, const float* x, float* y, int outputs,
                     int inputs) {
  V sum[R][BLOCKS] = {};
  for (int j = 0; j < inputs; j++, a += right) {
    V one[BLOCKS];
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) one[b] = load(x + (size_t(b) * inputs + j) * L);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
      const V weight = all(a[r * down]);
#pragma GCC unroll 8
      for (int b = 0; b < BLOCKS; b++) sum[r][b] += weight * one[b];
    }
  }
  for (int r = 0; r < R; r++)
    for (int b = 0; b < BLOCKS; b++) store(y + (size_t(b) * outputs + r) * L, sum[r][b] + all(bias ? bias[r] : 0.f));
}

template <int R = OUTPUTS>
static void multiply(const float* a, size_t down, size_t right, const float* bias, const float* x, float* y, int outputs,
                     int inputs, int first = 0) {
  for (; first + R <= outputs; first += R)
    products<R>(a + first * down, down, right, bias ? bias + first : nullptr, x, y + size_t(first) * L, outputs, inputs);
  if constexpr (R > 1) multiply<R / 2>(a, down, right, bias, x, y, outputs, inputs, first);
}

static void relu(float* x, size_t count) {
  for (size_t j = 0; j < count; j++) {
    const V value = load(x + j * L);
    store(x + j * L, kept(dead(value), value));
  }
}

static void relu_backward(const float* output, float* gradient, size_t count) {
  for (size_t j = 0; j < count; j++)
    store(gradient + j * L, kept(dead(load(output + j * L)), load(gradient + j * L)));
}

// dw[output][feature] = sum over images of g[block][output][lane] x[image][feature], R outputs and N vectors of features.
template <int R, int N>
static void outer(const float* g, int outputs, const float* x, size_t stride, int images, float* dw, size_t features,
                  size_t first) {
  V sum[R][N] = {};
  for (int i = 0; i < images; i++) {
    const float* own = g + size_t(i / L) * outputs * L + i % L;
    V one[N];
#pragma GCC unroll 4
    for (int v = 0; v < N; v++) one[v] = load(x + i * stride + first + v * L);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const V value = all(own[r * L]);
#pragma GCC unroll 4
      for (int v = 0; v < N; v++) sum[r][v] += value * one[v];
    }
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < N; v++) {
      const size_t at = first + size_t(v) * L;
      float* to = dw + r * features + at;
      if (at + L <= features) store(to, sum[r][v]);
      else store_first(to, sum[r][v], int(features - at));
    }
}

template <int R, int N = 4>
static void outer_row(const float* g, int outputs, const float* x, size_t stride, int images, float* dw, size_t features,
                      size_t first = 0) {
  for (; first + N * L <= round_up(features); first += N * L)
    outer<R, N>(g, outputs, x, stride, images, dw, features, first);
  if constexpr (N > 1) outer_row<R, N / 2>(g, outputs, x, stride, images, dw, features, first);
}

// The weights' and the bias's gradient of the outputs from `first` to `last`.
template <int R = PAIRS / 4>
static void linear_gradient(const float* g, int outputs, const float* x, size_t stride, int images, float* dw, float* db,
                            size_t features, int first, int last) {
  for (; first + R <= last; first += R) {
    outer_row<R>(g + size_t(first) * L, outputs, x, stride, images, dw + first * features, features);
    for (int r = first; db && r < first + R; r++) {
      V total = none();
      for (int b = 0; b * L < images; b++) total += load(g + (size_t(b) * outputs + r) * L);
      float sum = 0.f;
      for (int i = 0; i < L; i++) sum += total[i];
      db[r] = sum;
    }
  }
  if constexpr (R > 1) linear_gradient<R / 2>(g, outputs, x, stride, images, dw, db, features, first, last);
}
