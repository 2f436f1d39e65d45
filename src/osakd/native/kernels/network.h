// A whole sequential network as one call, for one network or for many replicas of it: input scaling, stages of
// convolution -> max-pool 2 -> ReLU, then linear layers with ReLU between. PyTorch's headers are not needed.
//
// Images are computed in groups of 32, each with its own sums of the convolutions' gradients, which are added in the
// order of the groups: the results do not depend on the number of threads.
#pragma once
#include <memory>

#include "plan.h"
#include "scaling.h"
#include "threads.h"

namespace {

void forward_group(const Call& call, int replica, int group, float* logits, Arena arena) {
  const Network& net = call.net;
  const int stages = int(net.stages.size()), linears = net.linears();
  float* own = call.workspace ? call.own(replica) : nullptr;
  const size_t first = size_t(group) * GROUP, pooled = net.last().pooled();
  std::vector<float*> lanes, packed, winners;
  for (int i = 0; i < stages; i++) {
    const Stage& s = net.stages[i];
    lanes.push_back(arena.take(s.image() * L));
    winners.push_back(arena.take(s.pooled() * L / 4));
    packed.push_back(arena.take(s.weights()));
    pack(s, call.weight(i, replica, s.weights()), packed[i]);
    if (i && s.padding) memset(lanes[i], 0, sizeof(float) * s.image() * L);
  }
  float *features = arena.take(net.widest()), *hold = arena.take(net.widest()), *other = arena.take(net.widest());
  float* scaled = arena.take(L * net.stages[0].stride());
  logits += (size_t(replica) * net.images + first) * net.outputs();

  for (int b = 0; b < BLOCKS; b++) {
    const int count = net.count(group, b);
    float* own_features = features + b * pooled * L;
    if (!count) {
      memset(own_features, 0, sizeof(float) * pooled * L);
      continue;
    }
    const float* rows = own ? call.rows(replica) + (first + b * L) * net.stages[0].stride() : scaled;
    if (!own) scale_block(call, replica / net.each, group, b, scaled);
    rows_to_lanes(rows, net.stages[0].stride(), L, lanes[0], net.stages[0].image());
    for (int i = 0; i < stages; i++) {
      const Stage& s = net.stages[i];
      const bool end = i + 1 == stages;
      uint8_t* winner = reinterpret_cast<uint8_t*>(own ? own + net.winners[i] : winners[i]);
      if (own) winner += (first + b * L) * s.pooled();
      float* y = end ? own_features : lanes[i + 1];
      forward_block(s, lanes[i], packed[i], call.bias(i, replica, s.out), y, net.place(i), winner, count);
      if (own && !end) {
        const Stage& next = net.stages[i + 1];
        float* to = own + net.rows[i + 1] + (first + b * L) * next.stride();
        lanes_to_rows(y, to, next.stride(), L, next.image());
      }
    }
    if (!linears) lanes_to_rows(own_features, logits + b * L * pooled, pooled, count, pooled);
  }

  const float* x = features;
  for (int j = 0; j < linears; j++) {
    const int inputs = net.widths[j], outputs = net.widths[j + 1], layer = stages + j;
    const bool end = j + 1 == linears;
    if (own)
      for (int b = 0; b < BLOCKS; b++) {
        const size_t stride = round_up(inputs);
        float* to = own + net.features[j] + (first + b * L) * stride;
        lanes_to_rows(x + size_t(b) * inputs * L, to, stride, L, inputs);
      }
    float* y = own && !end ? own + net.hidden[j + 1] + first * outputs : x == hold ? other : hold;
    const float* weight = call.weight(layer, replica, net.linear_weights(j));
    multiply(weight, inputs, 1, call.bias(layer, replica, outputs), x, y, outputs, inputs);
    if (!end) relu(y, size_t(BLOCKS) * outputs);
    x = y;
  }
  for (int b = 0; linears && b < BLOCKS; b++) {
    const size_t outputs = net.outputs();
    lanes_to_rows(x + b * outputs * L, logits + b * L * outputs, outputs, net.count(group, b), outputs);
  }
}

// The gradients of the linear layers' outputs and the sums of the convolutions of one group.
void backward_group(const Call& call, int replica, int group, const float* gradient, float* deltas, float* sums,
                    float* dimages, Arena arena) {
  const Network& net = call.net;
  const int stages = int(net.stages.size()), linears = net.linears();
  const float* own = call.own(replica);
  const size_t first = size_t(group) * GROUP, pooled = net.last().pooled(), outputs = net.outputs();
  gradient += (size_t(replica) * net.images + first) * outputs;
  float* features = arena.take(net.widest());
  Arena all{deltas}, own_sums{sums};
  std::vector<float*> delta(1, features);
  for (int j = 1; j <= linears; j++)
    delta.push_back(all.take(size_t(net.groups) * GROUP * net.widths[j]) + first * net.widths[j]);
  for (int b = 0; b < BLOCKS; b++)
    rows_to_lanes(gradient + b * L * outputs, outputs, net.count(group, b), delta[linears] + b * outputs * L, outputs);
  for (int j = linears; j-- > 0;) {
    const int inputs = net.widths[j];
    const float* weight = call.weight(stages + j, replica, net.linear_weights(j));
    multiply(weight, 1, inputs, nullptr, delta[j + 1], delta[j], inputs, net.widths[j + 1]);
    if (j) relu_backward(own + net.hidden[j] + first * inputs, delta[j], size_t(BLOCKS) * inputs);
  }

  std::vector<float*> dx, lanes, wide, dw, db;
  for (int i = 0; i < stages; i++) {
    const Stage& s = net.stages[i];
    dx.push_back(arena.take(s.stride() * L));
    lanes.push_back(arena.take(s.image() * L));
    wide.push_back(arena.take(s.spread()));
    dw.push_back(own_sums.take(s.spread()));
    db.push_back(own_sums.take(size_t(s.out) * L));
    memset(dw[i], 0, sizeof(float) * s.spread());
    memset(db[i], 0, sizeof(float) * s.out * L);
    spread(s, call.weight(i, replica, s.weights()), wide[i]);
  }
  for (int b = 0; b < BLOCKS && net.count(group, b); b++)
    for (int i = stages; i-- > 0;) {
      const Stage& s = net.stages[i];
      const size_t at = first + b * L;
      const float* g = i + 1 == stages ? features + b * pooled * L : lanes[i + 1];
      const float* rows = i ? own + net.rows[i] + at * s.stride() : call.rows(replica) + at * s.stride();
      const uint8_t* winner = reinterpret_cast<const uint8_t*>(own + net.winners[i]) + at * s.pooled();
      backward_block(s, rows, g, net.place(i), winner, wide[i], dw[i], db[i], i || dimages ? dx[i] : nullptr, arena);
      if (i) rows_to_lanes(dx[i], s.stride(), L, lanes[i], s.image());
      else if (dimages) unscale_block(call, replica, group, b, dx[i], dimages);
    }
}

// Adds the groups' sums of the convolutions.
void finish_stages(const Network& net, int replica, const float* sums, float* const* gradients) {
  Arena first{const_cast<float*>(sums)};
  for (size_t i = 0; i < net.stages.size(); i++) {
    const Stage& s = net.stages[i];
    const float *dw = first.take(s.spread()), *db = first.take(size_t(s.out) * L);
    float* weight = gradients[2 * i] + replica * s.weights();
    float* bias = gradients[2 * i + 1] ? gradients[2 * i + 1] + size_t(replica) * s.out : nullptr;
    const int window = s.window(), width = s.vectors() * L;
    for (int g = 0; g < net.groups; g++)
      for (int row = 0; row < s.out * s.kernel; row++)
        for (int j = 0; j < window; j++) {
          const float own = dw[g * net.sums() + size_t(row) * width + j];
          float& to = weight[size_t(row) * window + j];
          to = g ? to + own : own;
        }
    for (int c = 0; bias && c < s.out; c++) {
      bias[c] = 0.f;
      for (int g = 0; g < net.groups; g++)
        for (int l = 0; l < L; l++) bias[c] += db[g * net.sums() + size_t(c) * L + l];
    }
  }
}

// The weights' gradients of some outputs of a linear layer.
struct Outputs {
  int layer, first, last;
};
void finish_outputs(const Call& call, int replica, const Outputs& some, const float* deltas, float* const* gradients) {
  const Network& net = call.net;
  const int j = some.layer, layer = int(net.stages.size()) + j, outputs = net.widths[j + 1];
  Arena all{const_cast<float*>(deltas)};
  const float* delta = deltas;
  for (int i = 0; i <= j; i++) delta = all.take(size_t(net.groups) * GROUP * net.widths[i + 1]);
  float* weight = gradients[2 * layer] + replica * net.linear_weights(j);
  float* bias = gradients[2 * layer + 1] ? gradients[2 * layer + 1] + size_t(replica) * outputs : nullptr;
  linear_gradient(delta, outputs, call.own(replica) + net.features[j], round_up(net.widths[j]), net.images, weight, bias,
                  net.widths[j], some.first, some.last);
}

// Tasks of whole replicas, as many for each thread, then tasks of groups: the rest of the replicas in parts.
int whole_replicas(const Network& net, int threads) { return net.replicas() - net.replicas() % threads; }

std::unique_ptr<float[]> buffer(size_t floats) { return std::unique_ptr<float[]>(new float[floats + 16]); }
Arena aligned(const std::unique_ptr<float[]>& from) {
  return {reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(from.get()) + 63) / 64 * 64)};
}

}  // namespace

extern "C" {

// The address of PyTorch's GOMP_parallel, whose threads are used from now on.
void osakd_use_openmp(void* parallel) {
  Threads::openmp() = {reinterpret_cast<decltype(Threads::OpenMP::parallel)>(parallel), getpid()};
}

// Floats of the workspace of a call that is followed by a backward pass.
int64_t osakd_workspace(const int64_t* plan) {
  const Network net(plan);
  return int64_t(net.seeds * net.seed + net.replicas() * net.replica);
}

// images: of each seed; parameters: weight and bias (or null) of each layer, replicas along the first axis, a
// convolution's as [out][row][column][in]; workspace: null where no backward pass follows; logits: [replica][image].
void osakd_forward(const int64_t* plan, const void* const* images, int bytes, const float* scale, const float* shift,
                   const float* const* parameters, float* logits, float* workspace, int most_threads) {
  const Network net(plan);
  const int threads = net.threads(most_threads);
  const Call call{net, images, bytes != 0, scale, shift, parameters, workspace};
  const size_t own = net.forward_scratch();
  const auto memory = buffer(threads * own);
  const Arena start = aligned(memory);
  if (workspace)
    Threads::run(threads, net.seeds * net.groups, [&](int task, int) {
      const int seed = task / net.groups, group = task % net.groups;
      for (int b = 0; b < BLOCKS && net.count(group, b); b++) {
        float* to = call.rows(seed * net.each) + (size_t(group) * GROUP + b * L) * net.stages[0].stride();
        scale_block(call, seed, group, b, to);
      }
    });
  Threads::run(threads, net.replicas() * net.groups, [&](int task, int worker) {
    forward_group(call, task / net.groups, task % net.groups, logits, {start.next + worker * own});
  });
}

// After a forward pass with this workspace. gradients: as the parameters; dimages: null, or of each replica
// [image][row][column][channel].
void osakd_backward(const int64_t* plan, const float* scale, const float* const* parameters, float* workspace,
                    const float* gradient, float* const* gradients, float* dimages, int most_threads) {
  const Network net(plan);
  const int threads = net.threads(most_threads);
  const Call call{net, nullptr, false, scale, nullptr, parameters, workspace};
  const int whole = whole_replicas(net, threads), rest = net.replicas() - whole, slots = std::max(threads, rest);
  const size_t scratch = net.backward_scratch(), slot = net.deltas() + net.groups * net.sums();
  const auto memory = buffer(threads * scratch + slots * slot);
  Arena arena = aligned(memory);
  float *scratches = arena.take(threads * scratch), *deltas = arena.take(slots * slot);
  std::vector<Outputs> outputs;
  for (int j = 0; j < net.linears(); j++)
    for (int o = 0; o < net.widths[j + 1]; o += PAIRS) outputs.push_back({j, o, std::min(o + PAIRS, net.widths[j + 1])});

  auto begin = [&](int replica, int group, int place, int worker) {
    float* own = deltas + place * slot;
    backward_group(call, replica, group, gradient, own, own + net.deltas() + group * net.sums(), dimages,
                   {scratches + worker * scratch});
  };
  auto finish = [&](int replica, size_t number, int place) {
    const float* own = deltas + place * slot;
    if (number < outputs.size()) finish_outputs(call, replica, outputs[number], own, gradients);
    else finish_stages(net, replica, own + net.deltas(), gradients);
  };
  const int parts = int(outputs.size()) + 1;
  Threads::run(threads, whole, [&](int replica, int worker) {
    for (int group = 0; group < net.groups; group++) begin(replica, group, worker, worker);
    for (int number = 0; number < parts; number++) finish(replica, number, worker);
  });
  Threads::run(threads, rest * net.groups, [&](int task, int worker) {
    begin(whole + task / net.groups, task % net.groups, task / net.groups, worker);
  });
  Threads::run(threads, rest * parts, [&](int task, int) { finish(whole + task / parts, task % parts, task / parts); });
}
}
