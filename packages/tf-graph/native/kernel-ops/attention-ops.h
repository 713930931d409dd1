#pragma once
#include <map>
#include <utility>

#include "dropout-ops.h"

namespace graft {

/** Attributes, and sizes read from the inputs. Queries, keys and values are three matrices, or side by side in one. */
template <typename T>
class AttentionBase : public OpKernel {
 public:
  explicit AttentionBase(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("heads", &heads_));
    OP_REQUIRES_OK(c, c->GetAttr("kv_heads", &kvHeads_));
    OP_REQUIRES_OK(c, c->GetAttr("head_size", &headSize_));
    OP_REQUIRES_OK(c, c->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(c, c->GetAttr("causal", &causal_));
    OP_REQUIRES_OK(c, c->GetAttr("window", &window_));
    OP_REQUIRES_OK(c, c->GetAttr("cross", &cross_));
    OP_REQUIRES_OK(c, c->GetAttr("dropout", &dropout_));
    OP_REQUIRES(c, heads_ > 0 && kvHeads_ > 0 && heads_ % kvHeads_ == 0 && headSize_ > 0 && window_ >= 0,
                InvalidArgument("attention of ", heads_, " heads of ", headSize_, " numbers over ", kvHeads_,
                                " key heads, with a window of ", window_));
    OP_REQUIRES(c, !cross_ || (!causal_ && window_ == 0), InvalidArgument("a cross attention sees all of its memory"));
  }

 protected:
  /** Reads what forward and backward pass share; false after setting an error. */
  bool read(OpKernelContext* c, Attention<Stored<T>>* a, std::vector<Segment>* segments) {
    OpInputList parts;
    const Tensor *cosines = nullptr, *sines = nullptr, *table = nullptr, *bias = nullptr, *seed = nullptr;
    const auto status = [&] {
      TF_RETURN_IF_ERROR(c->input_list("parts", &parts));
      TF_RETURN_IF_ERROR(c->input("cosines", &cosines));
      TF_RETURN_IF_ERROR(c->input("sines", &sines));
      TF_RETURN_IF_ERROR(c->input("segments", &table));
      TF_RETURN_IF_ERROR(c->input("bias", &bias));
      return c->input("seed", &seed);
    }();
    if (!status.ok()) return c->CtxFailure(status), false;
    const auto refuse = [&](const char* why) { return c->CtxFailure(InvalidArgument(why)), false; };
    if (parts.size() == 0 || !areMatrices(parts) || !areMatrices(*cosines, *sines, *table, *bias) || table->dim_size(1) != 4)
      return refuse("attention takes matrices, and four numbers for each segment");
    const int64_t rows = parts[0].dim_size(0), own = heads_ * headSize_, shared = kvHeads_ * headSize_;
    const bool stacked = parts.size() == 1;
    const int64_t keyRows = stacked ? rows : parts[1].dim_size(0);
    const auto fits = [&](int i, int64_t rows, int64_t width) { return parts[i].shape() == TensorShape({rows, width}); };
    const bool shaped = stacked ? fits(0, rows, own + 2 * shared)
                                : parts.size() == 3 && fits(0, rows, own) && fits(1, keyRows, shared) && fits(2, keyRows, shared);
    if (!shaped || (cross_ ? stacked : keyRows != rows)) return refuse("queries, keys and values do not have the heads' shapes");
    const int64_t half = cosines->NumElements() == 0 ? 0 : cosines->dim_size(1);
    if (half > 0 && (cosines->dim_size(0) != rows || cosines->shape() != sines->shape() || 2 * half > headSize_))
      return refuse("the rotation does not fit the positions");
    const int64_t distances = bias->dim_size(0);
    if (distances > 0 && (distances % 2 == 0 || bias->dim_size(1) != heads_)) return refuse("the bias does not fit the heads");
    if (cross_ && half + distances > 0) return refuse("a cross attention knows no positions");
    if (!isSeed(*seed, dropout_)) return refuse("a dropout takes a probability below 1, and a seed of two numbers");
    *a = {heads_, kvHeads_, headSize_, half, scale_, causal_, cross_, window_, rows, keyRows};
    a->q = dataOf<T>(parts[0]);
    a->k = stacked ? a->q + own : dataOf<T>(parts[1]);
    a->v = stacked ? a->k + shared : dataOf<T>(parts[2]);
    a->qStride = parts[0].dim_size(1);
    a->kStride = a->vStride = stacked ? a->qStride : shared;
    a->cosines = dataOf<float>(*cosines);
    a->sines = dataOf<float>(*sines);
    a->bias = distances > 0 ? dataOf<float>(*bias) : nullptr;
    a->reach = distances / 2;
    a->dropout = dropoutOf(*seed, dropout_);
    if (!readSegments(c, *table, rows, keyRows, segments)) return false;
    a->segments = segments->data();
    return true;
  }

  int64_t group() const { return heads_ / kvHeads_; }

  /** Returns the scratch memory that the largest of the segments needs, in floats. */
  int64_t scratchFor(const Attention<Stored<T>>& a, const std::vector<Segment>& segments, bool gradient) const {
    int64_t most = 0;
    for (const Segment& s : segments)
      most = std::max(most, kernels().attentionScratch(s.own(), a.keysOf(s), headSize_, group(), gradient));
    return most;
  }

  int64_t heads_, kvHeads_, headSize_, window_;
  float scale_, dropout_;
  bool causal_, cross_;

 private:
  /**
   * Reads (S, 4): begin, end, and begin and end of the prefix. A segment without own positions is an unused row. A prefix that is the whole of a
   * segment with a prefix follows that one, the outer prefix.
   */
  bool readSegments(OpKernelContext* c, const Tensor& table, int64_t rows, int64_t keyRows, std::vector<Segment>* segments) {
    const int32_t* numbers = table.flat<tensorflow::int32>().data();
    std::vector<bool> read(cross_ ? keyRows : 0);
    for (int64_t i = 0; i < table.dim_size(0); i++) {
      const int32_t* s = numbers + 4 * i;
      Segment segment{s[0], s[1], s[2], s[3]};
      const auto within = [](int64_t begin, int64_t end, int64_t rows) { return begin >= 0 && begin <= end && end <= rows; };
      if (!within(segment.begin, segment.end, rows) || !within(segment.outerBegin, segment.outerEnd, keyRows))
        return c->CtxFailure(InvalidArgument("segment ", i, " is not within ", rows, " positions")), false;
      for (int64_t key = segment.outerBegin; cross_ && key < segment.outerEnd; key++) {
        if (read[key]) return c->CtxFailure(InvalidArgument("two segments read the same memory")), false;
        read[key] = true;
      }
      segments->push_back(segment);
    }
    return cross_ || findOuterPrefixes(c, segments);
  }

  bool findOuterPrefixes(OpKernelContext* c, std::vector<Segment>* segments) {
    std::map<std::pair<int64_t, int64_t>, const Segment*> withPrefix;
    const std::vector<Segment> read = *segments;
    for (const Segment& s : read)
      if (s.own() > 0 && s.prefix() > 0) withPrefix[{s.begin, s.end}] = &s;
    for (Segment& s : *segments) {
      const auto found = withPrefix.find({s.outerBegin, s.outerEnd});
      if (s.prefix() == 0 || found == withPrefix.end()) continue;
      const Segment& prefix = *found->second;
      if (withPrefix.count({prefix.outerBegin, prefix.outerEnd}))
        return c->CtxFailure(InvalidArgument("a segment follows more than two prefixes")), false;
      s = {s.begin, s.end, prefix.outerBegin, prefix.outerEnd, prefix.begin, prefix.end};
    }
    return true;
  }
};

/** Segments that one task processes in sequence. */
using Chain = std::vector<int64_t>;

struct ChainTask {
  const Chain* chain;
  int64_t kvHead;
};

/** Returns a task for each chain and key head, largest first, so that no thread starts the longest when the others have finished. */
inline std::vector<ChainTask> tasksOf(const std::vector<Chain>& chains, const std::vector<Segment>& segments, int64_t kvHeads) {
  std::vector<std::pair<int64_t, const Chain*>> order;
  for (const Chain& chain : chains) {
    int64_t work = 0;
    for (const int64_t i : chain) work += segments[i].own() * (segments[i].own() + 2 * segments[i].prefix());
    order.emplace_back(work, &chain);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<ChainTask> tasks;
  for (const auto& [work, chain] : order)
    for (int64_t head = 0; head < kvHeads; head++) tasks.push_back({chain, head});
  return tasks;
}

inline std::vector<Chain> eachAlone(size_t segments) {
  std::vector<Chain> chains;
  for (size_t i = 0; i < segments; i++) chains.push_back({static_cast<int64_t>(i)});
  return chains;
}

/**
 * Maximum number of chains that add to the gradients of one outer prefix. Each chain has separate memory, so the memory does not grow with
 * the number of segments that share a prefix; the number is the same on every machine, so that sums are identical.
 */
constexpr size_t kChainsOfPrefix = 8;

/** Distributes segments that share an outer prefix over up to `kChainsOfPrefix` chains; every other segment is a separate chain. */
inline std::vector<Chain> chainsByPrefix(const std::vector<Segment>& segments) {
  std::vector<Chain> chains;
  std::map<std::pair<int64_t, int64_t>, Chain> groups;
  for (size_t i = 0; i < segments.size(); i++) {
    const Segment& s = segments[i];
    if (s.own() > 0 && s.prefix() > 0)
      groups[{s.outerBegin, s.outerEnd}].push_back(i);
    else
      chains.push_back({static_cast<int64_t>(i)});
  }
  for (const auto& [prefix, members] : groups) {
    const size_t count = std::min(kChainsOfPrefix, members.size());
    for (size_t n = 0; n < count; n++)
      chains.emplace_back(members.begin() + n * members.size() / count, members.begin() + (n + 1) * members.size() / count);
  }
  return chains;
}

#define GRAFT_ATTENTION(name)                \
  REGISTER_OP(name)                          \
      .Attr("T: {float, bfloat16}")          \
      .Attr("count: int")                    \
      .Attr("heads: int")                    \
      .Attr("kv_heads: int")                 \
      .Attr("head_size: int")                \
      .Attr("scale: float")                  \
      .Attr("causal: bool")                  \
      .Attr("window: int")                   \
      .Attr("cross: bool")                   \
      .Attr("dropout: float")                \
      .Input("parts: count * T")             \
      .Input("cosines: float")               \
      .Input("sines: float")                 \
      .Input("segments: int32")              \
      .Input("bias: float")                  \
      .Input("seed: int32")

GRAFT_ATTENTION("GraftAttention")
    .Input("sinks: float")
    .Output("y: T")
    .Output("log_sums: float")
    .SetShapeFn([](InferenceContext* c) {
      int64_t heads, headSize;
      TF_RETURN_IF_ERROR(c->GetAttr("heads", &heads));
      TF_RETURN_IF_ERROR(c->GetAttr("head_size", &headSize));
      ShapeHandle queries;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &queries));
      const DimensionHandle rows = c->Dim(queries, 0);
      c->set_output(0, c->Matrix(rows, heads * headSize));
      c->set_output(1, c->Matrix(rows, heads));
      return tensorflow::OkStatus();
    });

template <typename T>
class AttentionOp : public AttentionBase<T> {
 public:
  using AttentionBase<T>::AttentionBase;
  void Compute(OpKernelContext* c) override {
    Attention<Stored<T>> a;
    std::vector<Segment> segments;
    if (!this->read(c, &a, &segments)) return;
    const Tensor* sinks = nullptr;
    OP_REQUIRES_OK(c, c->input("sinks", &sinks));
    OP_REQUIRES(c, areSinks(*sinks, a.heads), InvalidArgument("attention takes a sink for each head, or none"));
    a.sinks = sinks->NumElements() > 0 ? dataOf<float>(*sinks) : nullptr;
    const int64_t rows = c->input(0).dim_size(0);
    Tensor *y = nullptr, *logSums = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, a.heads * a.headSize}), &y));
    OP_REQUIRES_OK(c, c->allocate_output(1, TensorShape({rows, a.heads}), &logSums));
    a.y = dataOf<T>(y);
    a.logSums = dataOf<float>(logSums);
    // Positions outside of segments are padding.
    std::memset(a.y, 0, y->TotalBytes());
    std::memset(a.logSums, 0, logSums->TotalBytes());
    const std::vector<Chain> chains = eachAlone(segments.size());
    const std::vector<ChainTask> tasks = tasksOf(chains, segments, a.kvHeads);
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), this->scratchFor(a, segments, false), [&](int64_t i, float* memory) {
                     kernelsFor<T>().attention(a, tasks[i].chain->front() * a.kvHeads + tasks[i].kvHead, memory);
                   }));
  }
};
GRAFT_KERNEL("GraftAttention", AttentionOp);

GRAFT_ATTENTION("GraftAttentionGradient")
    .Input("y: T")
    .Input("log_sums: float")
    .Input("dy: T")
    .Output("gradients: count * T")
    .Output("d_bias: float")
    .SetShapeFn([](InferenceContext* c) {
      const int parts = c->num_outputs() - 1;
      for (int i = 0; i < parts; i++) c->set_output(i, c->input(i));
      // The segments follow the parts, the cosines and the sines.
      c->set_output(parts, c->input(parts + 3));
      return tensorflow::OkStatus();
    });

template <typename T>
class AttentionGradientOp : public AttentionBase<T> {
 public:
  using AttentionBase<T>::AttentionBase;
  void Compute(OpKernelContext* c) override {
    AttentionGradient<Stored<T>> g;
    std::vector<Segment> segments;
    if (!this->read(c, &g.forward, &segments)) return;
    Attention<Stored<T>>& a = g.forward;
    const Tensor *y = nullptr, *logSums = nullptr, *dy = nullptr;
    OP_REQUIRES_OK(c, c->input("y", &y));
    OP_REQUIRES_OK(c, c->input("log_sums", &logSums));
    OP_REQUIRES_OK(c, c->input("dy", &dy));
    const int64_t rows = c->input(0).dim_size(0);
    OP_REQUIRES(c, y->NumElements() == rows * a.heads * a.headSize && dy->shape() == y->shape() &&
                       logSums->NumElements() == rows * a.heads,
                InvalidArgument("the gradient of an attention has other shapes than the attention"));
    // Both are only read.
    a.y = const_cast<Stored<T>*>(dataOf<T>(*y));
    a.logSums = const_cast<float*>(dataOf<float>(*logSums));
    g.dy = dataOf<T>(*dy);

    OpOutputList gradients;
    OP_REQUIRES_OK(c, c->output_list("gradients", &gradients));
    std::vector<Tensor*> out(gradients.size());
    for (int i = 0; i < gradients.size(); i++) {
      OP_REQUIRES_OK(c, gradients.allocate(i, c->input(i).shape(), &out[i]));
      std::memset(dataOf<T>(out[i]), 0, out[i]->TotalBytes());
    }
    const bool stacked = out.size() == 1;
    g.dq = dataOf<T>(out[0]);
    g.dk = stacked ? g.dq + a.heads * a.headSize : dataOf<T>(out[1]);
    g.dv = stacked ? g.dk + a.kvHeads * a.headSize : dataOf<T>(out[2]);

    const Tensor& bias = c->input(out.size() + 3);
    Tensor* dBias = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(out.size(), bias.shape(), &dBias));
    g.dBias = dataOf<float>(dBias);

    const std::vector<Chain> chains = chainsByPrefix(segments);
    std::vector<typename AttentionGradient<Stored<T>>::Slots> slots(segments.size());
    std::vector<int64_t> biasSlots(segments.size());
    const int64_t ofKey = a.kvHeads * kernels().keyGradientWidth(a.headSize);
    int64_t keyFloats = 0, biasFloats = 0;
    for (const Chain& chain : chains) {
      const Segment* before = nullptr;
      auto slot = slots[chain.front()];
      for (const int64_t i : chain) {
        const Segment& s = segments[i];
        const auto opens = [&](bool isSame, int64_t keys, int64_t* start) {
          if (isSame || s.own() == 0 || keys == 0) return false;
          *start = keyFloats;
          keyFloats += keys * ofKey;
          return true;
        };
        slot.opensOuter = opens(before != nullptr, s.outer(), &slot.outer);
        slot.opensInner = opens(before && before->innerBegin == s.innerBegin && before->innerEnd == s.innerEnd, s.inner(), &slot.inner);
        before = &s;
        slot.own = keyFloats;
        keyFloats += (a.keysOf(s) - s.prefix()) * ofKey;
        slots[i] = slot;
        biasSlots[i] = biasFloats;
        if (a.bias) biasFloats += a.heads * kernels().biasGradientWidth(s.own(), a.keysOf(s));
      }
    }
    Tensor keyGradients, biasGradients;
    OP_REQUIRES_OK(c, temporary(c, keyFloats, &keyGradients));
    OP_REQUIRES_OK(c, temporary(c, biasFloats, &biasGradients));
    g.keyGradients = dataOf<float>(&keyGradients);
    g.slots = slots.data();
    g.biasGradients = dataOf<float>(&biasGradients);
    g.biasSlots = biasSlots.data();
    g.segmentCount = segments.size();
    const std::vector<ChainTask> tasks = tasksOf(chains, segments, a.kvHeads);
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), this->scratchFor(a, segments, true), [&](int64_t i, float* memory) {
                     for (const int64_t segment : *tasks[i].chain)
                       kernelsFor<T>().attentionGradient(g, segment * a.kvHeads + tasks[i].kvHead, memory);
                   }));
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), 0, [&](int64_t i, float*) {
                     for (const int64_t segment : *tasks[i].chain)
                       kernelsFor<T>().attentionKeyGradient(g, segment * a.kvHeads + tasks[i].kvHead);
                   }));
    if (a.bias)
      OP_REQUIRES_OK(c, eachTask(c, a.heads, 0, [&](int64_t head, float*) { kernelsFor<T>().attentionBiasGradient(g, head); }));
  }
};
GRAFT_KERNEL("GraftAttentionGradient", AttentionGradientOp);

}  // namespace graft
