// What a call computes, and where everything that it keeps or borrows lies. All sizes are in floats.
#pragma once
#include <algorithm>
#include <vector>

#include "convolution.h"
#include "linear.h"

struct Network {
  std::vector<Stage> stages;
  std::vector<int> widths;  // of the features and of each linear layer's outputs; empty without linear layers
  int images, seeds, each, groups;
  // What the backward pass reads, in floats: of a seed the scaled images; of a replica, for all images, ...
  size_t seed, replica;
  std::vector<size_t> rows, winners, features, hidden;  // ... where each stage's and each linear layer's parts begin

  // stages, linear layers, images, seeds, replicas of a seed; six numbers for each stage; the widths.
  explicit Network(const int64_t* plan) {
    const int count = int(plan[0]), linears = int(plan[1]);
    images = int(plan[2]), seeds = int(plan[3]), each = int(plan[4]);
    groups = (images + GROUP - 1) / GROUP;
    plan += 5;
    for (int i = 0; i < count; i++, plan += 6)
      stages.push_back({int(plan[0]), int(plan[1]), int(plan[2]), int(plan[3]), int(plan[4]), int(plan[5])});
    for (int j = 0; linears && j <= linears; j++) widths.push_back(int(plan[j]));
    const size_t all = size_t(groups) * GROUP;
    seed = part(all * stages[0].stride());
    replica = 0;
    auto reserve = [&](std::vector<size_t>& begins, size_t floats) {
      begins.push_back(replica);
      replica += part(floats);
    };
    for (int i = 0; i < count; i++) {
      reserve(rows, i ? all * stages[i].stride() : 0);
      reserve(winners, all * stages[i].pooled() / 4);
    }
    for (int j = 0; j < linears; j++) {
      reserve(features, all * round_up(widths[j]));
      reserve(hidden, j ? all * widths[j] : 0);
    }
  }

  // Multiply-adds of a forward pass.
  double operations() const {
    double each_image = 0;
    for (const Stage& s : stages) each_image += 4.0 * s.pooled() * s.kernel * s.window();
    for (int j = 0; j < linears(); j++) each_image += double(linear_weights(j));
    return each_image * images * replicas();
  }
  // Waking a thread for less than some 50 microseconds of work costs more than it saves.
  int threads(int most) const { return std::clamp(int(std::min(operations() / 4e6, 1e6)), 1, std::max(most, 1)); }

  int linears() const { return widths.empty() ? 0 : int(widths.size()) - 1; }
  const Stage& last() const { return stages.back(); }
  int outputs() const { return widths.empty() ? int(last().pooled()) : widths.back(); }
  int replicas() const { return seeds * each; }
  size_t linear_weights(int j) const { return size_t(widths[j]) * widths[j + 1]; }
  Place place(int i) const { return i + 1 < int(stages.size()) ? inside(stages[i + 1]) : by_channels(last()); }
  int count(int group, int block) const { return std::clamp(images - group * GROUP - block * L, 0, L); }

  size_t widest() const {
    size_t most = last().pooled();
    for (int width : widths) most = std::max(most, size_t(width));
    return part(most * GROUP);
  }
  size_t forward_scratch() const {
    size_t total = 3 * widest() + part(L * stages[0].stride());
    for (const Stage& s : stages)
      total += part(s.image() * L) + part(s.pooled() * L / 4) + part(s.weights());
    return total;
  }
  size_t backward_scratch() const {
    size_t total = 2 * widest(), most = 0;
    for (const Stage& s : stages) {
      total += part(s.stride() * L) + part(s.image() * L) + part(s.spread());
      most = std::max(most, ::backward_scratch(s));
    }
    return total + most;
  }
  // The sums of one group's convolutions: weights as `spread`, biases in lanes.
  size_t sums() const {
    size_t total = 0;
    for (const Stage& s : stages) total += part(s.spread()) + part(size_t(s.out) * L);
    return total;
  }
  // The gradients of all linear layers' outputs, in lanes.
  size_t deltas() const {
    size_t total = 0;
    for (int j = 1; j <= linears(); j++) total += part(size_t(groups) * GROUP * widths[j]);
    return total;
  }
};

struct Call {
  const Network& net;
  const void* const* images;  // of each seed, [image][row][column][channel]
  bool bytes;                 // of 0 to 255, else floats
  const float *scale, *shift; // [seed][channel]
  const float* const* parameters;
  float* workspace;

  const float* weight(int layer, int replica, size_t size) const { return parameters[2 * layer] + replica * size; }
  const float* bias(int layer, int replica, int size) const {
    return parameters[2 * layer + 1] ? parameters[2 * layer + 1] + size_t(replica) * size : nullptr;
  }
  float* rows(int replica) const { return workspace + size_t(replica / net.each) * net.seed; }
  float* own(int replica) const { return workspace + net.seeds * net.seed + replica * net.replica; }
};
