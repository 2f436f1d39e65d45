// Soft labels of many replicas at once: the nearest neighbours and their votes, and the whole OSAKD loss with its
// gradient. PyTorch's headers are not needed.
#pragma once
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "threads.h"
#include "vectors.h"

namespace {

constexpr int QUERIES = REGISTERS / 8, VECTORS = 4, SPAN = VECTORS * L;
constexpr int CHUNK_FLOATS = 1 << 13;  // references that are compared while they lie in the first cache

static inline bool any(I mask) {
  uint64_t words[sizeof(I) / 8], found = 0;
  memcpy(words, &mask, sizeof mask);
  for (uint64_t word : words) found |= word;
  return found != 0;
}

constexpr double FEWEST_SAMPLES = 1e-6;  // as in osakd.labels.reliability

// The k nearest of a query so far, nearest first. Rows are offered in ascending order, so that of equals the first
// stays; what is not a number is never near.
struct Nearest {
  float* distances;
  int64_t* rows;
  int64_t k;
  float worst() const { return distances[k - 1]; }
  void offer(float distance, int64_t row) const {
    int64_t at = k - 1;
    for (; at > 0 && distances[at - 1] > distance; at--) distances[at] = distances[at - 1], rows[at] = rows[at - 1];
    distances[at] = distance, rows[at] = row;
  }
};

struct Search {
  int64_t queries, references, columns, k;
  const float *query, *reference;
  const int64_t* exclude;
  const uint8_t* valid;

  // Distances of some queries to SPAN references, whose columns lie `stride` apart; a sum in the order of the columns.
  void compare(const float* const (&points)[QUERIES], const float* from, int64_t stride, V (&found)[QUERIES][VECTORS]) const {
    V sums[QUERIES][VECTORS] = {};
    for (int64_t j = 0; j < columns; j++)
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; v++) {
        const V other = load(from + j * stride + v * L);
#pragma GCC unroll 4
        for (int q = 0; q < QUERIES; q++) {
          const V difference = points[q][j] - other;
          sums[q][v] += difference * difference;
        }
      }
#pragma GCC unroll 4
    for (int q = 0; q < QUERIES; q++)
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; v++) found[q][v] = sums[q][v];
  }

  // The neighbours of the queries from `first` to before `last`.
  void run(int64_t first, int64_t last, float* distances, int64_t* rows) const {
    std::fill(distances + first * k, distances + last * k, INFINITY);
    std::fill(rows + first * k, rows + last * k, 0);
    const int64_t stride = std::max<int64_t>(1, CHUNK_FLOATS / columns / SPAN) * SPAN;
    std::vector<float> chunk(columns * stride);
    for (int64_t start = 0; start < references; start += stride) {
      const int64_t count = std::min(stride, references - start);
      for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < columns; j++) chunk[j * stride + i] = reference[(start + i) * columns + j];
      for (int64_t i = 0; valid && i < count; i++)
        if (!valid[start + i]) chunk[i] = INFINITY;
      for (int64_t some = first; some < last; some += QUERIES) {
        const int64_t queries = std::min<int64_t>(QUERIES, last - some);
        if (start == 0) bound(some, queries, chunk.data(), stride, count / SPAN * SPAN, distances);
        look(some, queries, chunk.data(), stride, start, count, distances, rows);
      }
    }
  }

  // Distances that the neighbours of some queries are below, so that few references have to be sorted in: each of SPAN
  // parts of the references has one that is as near as its nearest, which may be the query itself.
  void bound(int64_t first, int64_t some, const float* chunk, int64_t stride, int64_t count, float* distances) const {
    const int64_t nearest = exclude ? k : k - 1;
    if (count < 4 * SPAN || nearest >= SPAN) return;
    const float* points[QUERIES];
    for (int64_t q = 0; q < QUERIES; q++) points[q] = query + (first + std::min(q, some - 1)) * columns;
    V least[QUERIES][VECTORS], found[QUERIES][VECTORS];
    for (auto& of_query : least)
      for (V& lanes : of_query) lanes = all(INFINITY);
    for (int64_t at = 0; at < count; at += SPAN) {
      compare(points, chunk + at, stride, found);
#pragma GCC unroll 4
      for (int q = 0; q < QUERIES; q++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) least[q][v] = found[q][v] < least[q][v] ? found[q][v] : least[q][v];
    }
    for (int64_t q = 0; q < some; q++) {
      float each[SPAN];
      memcpy(each, least[q], sizeof each);
      std::nth_element(each, each + nearest, each + SPAN);
      std::fill_n(distances + (first + q) * k, k, std::nextafter(each[nearest], INFINITY));
    }
  }

  // Offers `count` references from row `start` on to some queries.
  void look(int64_t first, int64_t some, const float* chunk, int64_t stride, int64_t start, int64_t count,
            float* distances, int64_t* rows) const {
    const float* points[QUERIES];
    for (int64_t q = 0; q < QUERIES; q++) points[q] = query + (first + std::min(q, some - 1)) * columns;
    for (int64_t at = 0; at < count; at += SPAN) {
      V found[QUERIES][VECTORS];
      compare(points, chunk + at, stride, found);
      I nearer[QUERIES] = {}, anywhere = {};
#pragma GCC unroll 4
      for (int q = 0; q < QUERIES; q++) {
        const float worst = distances[(first + std::min<int64_t>(q, some - 1)) * k + k - 1];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) nearer[q] |= found[q][v] < worst;
        anywhere |= nearer[q];
      }
      for (int64_t q = 0; any(anywhere) && q < some; q++)
        if (any(nearer[q])) offer(first + q, found[q], start + at, std::min<int64_t>(SPAN, count - at), distances, rows);
    }
  }

  void offer(int64_t one, const V (&found)[VECTORS], int64_t start, int64_t count, float* distances, int64_t* rows) const {
    const Nearest nearest{distances + one * k, rows + one * k, k};
    float each[SPAN];
    memcpy(each, found, sizeof each);
    for (int v = 0; v < VECTORS; v++)
      if (any(found[v] < nearest.worst()))
        for (int64_t i = v * L; i < std::min<int64_t>(count, (v + 1) * L); i++)
          if (each[i] < nearest.worst() && !(exclude && exclude[one] == start + i)) nearest.offer(each[i], start + i);
  }
};

bool is_class(int64_t target, int64_t classes) { return target >= 0 && target < classes; }

// What the votes of the other samples know of the classes, as osakd.labels.reliability measures it: for each
// pseudo-count the sums of the log scores of each class's samples, and last how many samples.
struct Scores {
  const float* pseudo_counts;
  int64_t count, classes;
  std::vector<double> sums;
  Scores(const float* pseudo_counts, int64_t count, int64_t classes)
      : pseudo_counts(pseudo_counts), count(count), classes(classes), sums((count + 1) * classes) {}

  // Those of the latest batches, which it also writes to `after`; a momentum of 1 takes up nothing.
  void take_up(const float* before, double momentum, float* after) {
    for (size_t i = 0; i < sums.size(); i++) after[i] = sums[i] = momentum * before[i] + (momentum < 1) * sums[i];
  }

  // A sample of class `own`, which so many of the votes are for.
  void add(int64_t own, double votes, double total) {
    for (int64_t a = 0; a < count; a++)
      sums[a * classes + own] += std::log((votes + pseudo_counts[a]) / (total + pseudo_counts[a] * classes));
    sums[count * classes + own] += 1;
  }

  double explained() const {
    double most = 0;
    for (int64_t a = 0; a < count; a++) {
      double mean = 0, present = 0;
      for (int64_t j = 0; j < classes; j++) {
        const double samples = sums[count * classes + j];
        if (samples > FEWEST_SAMPLES) mean += sums[a * classes + j] / samples, present += 1;
      }
      if (present > 1) most = std::max(most, 1 + mean / (present * std::log(present)));
    }
    return std::min(1.0, most);
  }
};

// A queue among whose samples neighbours are searched, as osakd.labels.queue keeps it; without any, it is the mini-batch
// itself. The last of its rows is not used.
struct Queue {
  int64_t rows;
  float *outputs, *votes;
  uint8_t* valid;
  int64_t* place;

  // The row of the i-th sample from now on; unsigned, since a state from elsewhere may hold any place.
  int64_t at(int64_t i) const { return (uint64_t(*place) + i) % (rows - 1); }

  // Takes up the samples of a mini-batch, and writes their rows to `taken`.
  void write(const float* points, const int64_t* target, int64_t n, int64_t classes, int64_t* taken) const {
    for (int64_t i = 0; i < n; i++) {
      const int64_t row = taken[i] = at(i);
      memcpy(outputs + row * classes, points + i * classes, classes * sizeof(float));
      for (int64_t j = 0; j < classes; j++) votes[row * classes + j] = j == target[i];
      valid[row] = 1;
    }
    *place = at(n);
  }
};

// What is computed of a mini-batch before its loss.
struct Batch {
  std::vector<float> log_p, points, distances;
  std::vector<int64_t> rows, itself;
};

// The OSAKD loss of the mini-batch of one replica: how soft labels are found in it, and what is learnt from them.
enum { TOTAL, HARD, SOFT, WEIGHTED_HARD, WEIGHTED_SOFT, WEIGHT, MASS, ENTROPY, AGREEMENT, RELIABILITY, SHARE, FIGURES };
struct Loss {
  int64_t n, classes, k;
  bool include_self, squared;
  float scale, hard_weight, soft_weight, given_up, pseudo_count, momentum, power, smoothing;
  const float* scored_with;
  int64_t scored;

  Batch prepare(const float* logits, const int64_t* target, const Queue& queue, float* probabilities) const {
    Batch batch{std::vector<float>(n * classes), std::vector<float>(n * classes), std::vector<float>(n * k),
                std::vector<int64_t>(n * k), std::vector<int64_t>(n)};
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = i * classes;
      softmax_of(logits + at, probabilities + at, &batch.log_p[at]);
      std::copy_n(probabilities + at, classes, &batch.points[at]);
      batch.itself[i] = i;
    }
    if (queue.rows) queue.write(batch.points.data(), target, n, classes, batch.itself.data());
    return batch;
  }

  // The neighbours of the samples from `first` to before `last`.
  void search(Batch& batch, const Queue& queue, int64_t first, int64_t last) const {
    const Search search{n, queue.rows ? queue.rows : n, classes, k, batch.points.data(),
                        queue.rows ? queue.outputs : batch.points.data(), include_self ? nullptr : batch.itself.data(),
                        queue.valid};
    search.run(first, last, batch.distances.data(), batch.rows.data());
  }

  // before, after: the scores of the votes, whose reliability weights the divergence; null for a constant weight.
  void learn(const Batch& batch, const int64_t* target, const Queue& queue, const float* before, float* after,
             double* figures, float* labels, float* gradient) const {
    Scores scores(scored_with, scored, classes);
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = i * classes, own = target[i];
      float* q = labels + at;
      const auto [found, voted] = count(batch, i, target, queue, q);
      if (is_class(own, classes)) scores.add(own, q[own] - voted, found - voted);
      for (int64_t j = 0; j < classes; j++) q[j] = found ? (q[j] + pseudo_count) / (found + pseudo_count * classes) : j == own;
      add_figures(q, own, figures);
      figures[HARD] += cross_entropy(&batch.log_p[at], own);
    }
    if (before) scores.take_up(before, momentum, after);
    figures[RELIABILITY] = scores.explained();
    const float factor = before ? std::pow(figures[RELIABILITY], double(power)) : 1.0;
    const float soft = soft_weight * factor, hard = hard_weight - given_up * factor;
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = i * classes;
      pull(&batch.log_p[at], labels + at, target[i], hard, soft * scale, figures, gradient + at);
    }
    for (int i : {HARD, SOFT, MASS, ENTROPY, AGREEMENT}) figures[i] /= n;
    figures[WEIGHT] = soft, figures[SOFT] *= scale;
    figures[WEIGHTED_HARD] = hard * figures[HARD], figures[WEIGHTED_SOFT] = soft * figures[SOFT];
    figures[TOTAL] = figures[WEIGHTED_HARD] + figures[WEIGHTED_SOFT];
    figures[SHARE] = figures[WEIGHTED_SOFT] / (figures[TOTAL] < FLT_MIN ? FLT_MIN : figures[TOTAL]);
  }

  // How many neighbours sample i has, and whether it is one of them itself; q: their votes.
  std::pair<int64_t, int64_t> count(const Batch& batch, int64_t i, const int64_t* target, const Queue& queue,
                                    float* q) const {
    int64_t found = 0, voted = 0;
    std::fill(q, q + classes, 0.f);
    for (int64_t s = i * k; s < (i + 1) * k; s++) {
      const int64_t row = batch.rows[s];
      if (queue.rows && !(batch.distances[s] < INFINITY)) continue;
      for (int64_t j = 0; queue.rows && j < classes; j++) q[j] += queue.votes[row * classes + j];
      if (!queue.rows && is_class(target[row], classes)) q[target[row]] += 1.f;
      found++, voted += row == batch.itself[i];
    }
    return {found, voted};
  }

  void softmax_of(const float* logits, float* p, float* log_p) const {
    float most = logits[0], sum = 0.f;
    for (int64_t j = 1; j < classes; j++) most = logits[j] > most ? logits[j] : most;
    for (int64_t j = 0; j < classes; j++) sum += p[j] = std::exp(logits[j] - most);
    const float norm = std::log(sum), share = 1 / sum;
    for (int64_t j = 0; j < classes; j++) p[j] *= share, log_p[j] = logits[j] - most - norm;
  }

  float cross_entropy(const float* log_p, int64_t own) const {
    const float hard = is_class(own, classes) ? -log_p[own] : NAN;
    return smoothing ? (1 - smoothing) * hard - smoothing / classes * std::accumulate(log_p, log_p + classes, 0.f) : hard;
  }

  void add_figures(const float* q, int64_t own, double* figures) const {
    int64_t most = 0;
    for (int64_t j = 0; j < classes; j++) {
      if (q[j] != 0.f) figures[ENTROPY] -= q[j] * std::log(q[j]);
      if (q[j] > q[most]) most = j;
    }
    figures[MASS] += is_class(own, classes) ? q[own] : NAN;
    figures[AGREEMENT] += most == own;
  }

  // The divergence of one sample, and its gradient in place of the probabilities. A class whose logit is minus infinity
  // adds nothing to a KL divergence.
  void pull(const float* log_p, const float* q, int64_t own, float hard_weight, float weight, double* figures,
             float* p) const {
    float sum = 0.f;
    for (int64_t j = 0; j < classes; j++)
      if (squared) {
        const float difference = p[j] - q[j];
        figures[SOFT] += difference * difference;
        sum += p[j] * 2 * difference;
      } else if (log_p[j] != -INFINITY) {
        figures[SOFT] += (q[j] != 0.f ? q[j] * std::log(q[j]) : 0.f) - q[j] * log_p[j];
        sum += q[j];
      }
    for (int64_t j = 0; j < classes; j++) {
      const float used = log_p[j] != -INFINITY ? q[j] : 0.f;
      const float soft = squared ? p[j] * (2 * (p[j] - q[j]) - sum) : p[j] * sum - used;
      const float hard = p[j] - (1 - smoothing) * (j == own) - smoothing / classes;
      p[j] = (hard_weight * hard + weight * soft) / n;
    }
  }
};

}  // namespace

extern "C" {


// Neighbours of each replica's queries, nearest first; of equal distance the lower row. sizes: replicas, queries,
// references, columns, k, classes; then whether neighbours that are infinitely far vote too. exclude, valid: or null.
// votes: neighbours of each class.
void osakd_neighbours(const int64_t* sizes, const float* queries, const float* references, const int64_t* target,
                      const int64_t* exclude, const uint8_t* valid, float* distances, int64_t* rows, float* votes,
                      int threads) {
  const int64_t replicas = sizes[0], n = sizes[1], m = sizes[2], columns = sizes[3], k = sizes[4], classes = sizes[5];
  const int64_t parts = std::min<int64_t>(n, (threads + replicas - 1) / replicas);
  Threads::run(threads, int(replicas * parts), [&](int task, int) {
    const int64_t replica = task / parts, part = task % parts, first = part * n / parts, last = (part + 1) * n / parts;
    const Search search{n, m, columns, k, queries + replica * n * columns, references + replica * m * columns,
                        exclude ? exclude + replica * n : nullptr, valid ? valid + replica * m : nullptr};
    search.run(first, last, distances + replica * n * k, rows + replica * n * k);
    for (int64_t at = (replica * n + first) * k; at < (replica * n + last) * k; at++) {
      const int64_t vote = target[replica * m + rows[at]];
      if (is_class(vote, classes) && (sizes[6] || distances[at] < INFINITY)) votes[at / k * classes + vote] += 1.f;
    }
  });
}

// The loss of each replica's mini-batch, and figures [replica][figure]: see the enumeration. gradient: that of the
// weighted sum. sizes: replicas, samples, classes, k; then whether samples are their own neighbours, the divergence (0:
// KL, 1: squared error, summed over the classes, 2: averaged); how many pseudo-counts score the votes; the rows of the
// queue. weights: of the cross-entropy, of the divergence, and what
// the first gives up for it where the neighbours are reliable; pseudo-count of every class; momentum and power of the
// reliability; label smoothing of the cross-entropy; then the pseudo-counts that score the votes. before, after: each
// replica's scores of the votes; before is null for a reliability of 1. The queue, which takes the mini-batches up, is
// null where neighbours are searched in the mini-batches themselves.
void osakd_distillation(const int64_t* sizes, const float* weights, const float* logits, const int64_t* target,
                        const float* before, float* outputs, float* votes, uint8_t* valid, int64_t* place,
                        float* totals, float* figures, float* labels, float* gradient, float* after, int threads) {
  const int64_t replicas = sizes[0], n = sizes[1], classes = sizes[2], scored = sizes[6], size = sizes[7];
  const float scale = sizes[5] == 2 ? 1.f / classes : 1.f;
  const Loss loss{n,          classes,    sizes[3],   sizes[4] != 0, sizes[5] != 0, scale, weights[0],
                  weights[1], weights[2], weights[3], weights[4],    weights[5],    weights[6],    weights + 7, scored};
  std::vector<Batch> batches(replicas);
  const auto queue = [&](int64_t replica) {
    const int64_t at = replica * size;
    return size ? Queue{size, outputs + at * classes, votes + at * classes, valid + at, place + replica} : Queue{};
  };
  Threads::run(threads, int(replicas), [&](int replica, int) {
    const int64_t at = replica * n * classes;
    batches[replica] = loss.prepare(logits + at, target + replica * n, queue(replica), gradient + at);
  });
  const int64_t parts = size ? std::min<int64_t>(n, (threads + replicas - 1) / replicas) : 1;
  Threads::run(threads, int(replicas * parts), [&](int task, int) {
    const int64_t replica = task / parts, part = task % parts;
    loss.search(batches[replica], queue(replica), part * n / parts, (part + 1) * n / parts);
  });
  Threads::run(threads, int(replicas), [&](int replica, int) {
    double found[FIGURES] = {};
    const int64_t at = replica * n * classes, own = replica * (scored + 1) * classes;
    loss.learn(batches[replica], target + replica * n, queue(replica), before ? before + own : nullptr, after + own,
               found, labels + at, gradient + at);
    for (int i = 0; i < FIGURES; i++) figures[replica * FIGURES + i] = float(found[i]);
    totals[replica] = figures[replica * FIGURES + TOTAL];
  });
}
}
