// Ops of serving: several sequences at once, with the same results as if each were alone. Float32; no gradients.
#pragma once
#include "crew.h"
#include "op.h"
#include "unpack-ops.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"

namespace graft {

/** Calls body(begin, end, memory) for ranges of the `out` columns of a product, with `scratch` floats per thread. */
template <typename Body>
tensorflow::Status byColumns(OpKernelContext* c, int64_t out, int64_t scratch, const Body& body) {
  // Large enough that taking the next one costs nothing, and a multiple of the rows of W that a kernel reads at a time.
  constexpr int64_t columns = 48;
  return eachTaskOfCrew(c, (out + columns - 1) / columns, scratch, [&](int64_t i, float* memory) {
    body(i * columns, std::min(out, (i + 1) * columns), memory);
  });
}

REGISTER_OP("GraftRowProduct")
    .Attr("transposed: bool")
    .Input("x: float")
    .Input("w: float")
    .Output("y: float")
    .SetShapeFn([](InferenceContext* c) {
      bool transposed;
      TF_RETURN_IF_ERROR(c->GetAttr("transposed", &transposed));
      ShapeHandle x, w;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &w));
      c->set_output(0, c->Matrix(c->Dim(x, 0), c->Dim(w, transposed ? 0 : 1)));
      return tensorflow::OkStatus();
    });

class RowProductOp : public OpKernel {
 public:
  explicit RowProductOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("transposed", &transposed_)); }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &w = c->input(1);
    OP_REQUIRES(c, x.dims() == 2 && w.dims() == 2 && w.dim_size(transposed_ ? 1 : 0) == x.dim_size(1),
                InvalidArgument("a product of ", x.shape().DebugString(), " and ", w.shape().DebugString()));
    const int64_t rows = x.dim_size(0), in = x.dim_size(1), out = w.dim_size(transposed_ ? 0 : 1);
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, out}), &y));
    const RowProduct arguments{rows, in, out, transposed_, dataOf<float>(x), dataOf<float>(w), dataOf<float>(y)};
    OP_REQUIRES_OK(c, byColumns(c, out, 0, [&](int64_t begin, int64_t end, float*) { kernels().serving.rowProduct(arguments, begin, end); }));
  }

 private:
  bool transposed_;
};
REGISTER_KERNEL_BUILDER(Name("GraftRowProduct").Device(tensorflow::DEVICE_CPU), RowProductOp);

/** The same with products of integers: x is rounded to 8 bits first. */
template <typename Stored>
void integerProductWithStored(OpKernelContext* c, const Stored& w, int64_t out, bool evenFirst, IntegerProductKernel<Stored> kernel) {
  const Tensor& x = c->input(0);
  const int64_t rows = x.dim_size(0), in = x.dim_size(1), blocks = (in + 63) / 64;
  Tensor *y = nullptr, rounded;
  OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, out}), &y));
  // Sixteen numbers of a block for its codes, in whole tiles of rows, one for its scale and one for its offset.
  const int64_t codes = (rows + 15) / 16 * 16 * blocks * 16;
  OP_REQUIRES_OK(c, temporary(c, codes + rows * blocks * 2, &rounded));
  float* scales = dataOf<float>(&rounded) + codes;
  const RoundedRows own{rows,   in,     evenFirst, dataOf<float>(x), reinterpret_cast<int8_t*>(dataOf<float>(&rounded)),
                        scales, reinterpret_cast<int32_t*>(scales + rows * blocks)};
  const IntegerProductKernels& integers = kernels().integerProducts;
  shareWithCrew(c, rows, 2 * in, integers.roundRows, own);
  const IntegerProduct<Stored> arguments{own, out, w, dataOf<float>(y)};
  OP_REQUIRES_OK(c, byColumns(c, out, integers.scratch(rows, in), [&](int64_t begin, int64_t end, float* memory) {
                   kernel(arguments, begin, end, memory);
                 }));
}

/** Computes y (N, out) = x (N, in) · Wᵀ with W (out, in) in its stored form. */
template <typename Stored>
void productWithStored(OpKernelContext* c, const Stored& w, int64_t out, StoredProductKernel<Stored> kernel) {
  const Tensor& x = c->input(0);
  const int64_t rows = x.dim_size(0), in = x.dim_size(1);
  Tensor* y = nullptr;
  OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, out}), &y));
  const StoredProduct<Stored> arguments{rows, in, out, dataOf<float>(x), w, dataOf<float>(y)};
  OP_REQUIRES_OK(c, byColumns(c, out, kernels().storedProducts.scratch(in), [&](int64_t begin, int64_t end, float* panel) {
                   kernel(arguments, begin, end, panel);
                 }));
}

inline tensorflow::Status storedProductShape(InferenceContext* c, DimensionHandle out) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
  c->set_output(0, c->Matrix(c->Dim(x, 0), out));
  return tensorflow::OkStatus();
}
inline tensorflow::Status storedMatrixShape(InferenceContext* c) {
  ShapeHandle w;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &w));
  return storedProductShape(c, c->Dim(w, 0));
}

REGISTER_OP("GraftProductOfBfloat16").Input("x: float").Input("w: bfloat16").Output("y: float").SetShapeFn(storedMatrixShape);

class ProductOfBfloat16Op : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &w = c->input(1);
    OP_REQUIRES(c, areMatrices(x, w) && w.dim_size(1) == x.dim_size(1),
                InvalidArgument("a product of ", x.shape().DebugString(), " and ", w.shape().DebugString()));
    productWithStored(c, Bfloat16Matrix{dataOf<tensorflow::bfloat16>(w)}, w.dim_size(0), kernels().storedProducts.bfloat16);
  }
};
REGISTER_KERNEL_BUILDER(Name("GraftProductOfBfloat16").Device(tensorflow::DEVICE_CPU), ProductOfBfloat16Op);

REGISTER_OP("GraftProductOfInt8")
    .Attr("integers: bool")
    .Input("x: float")
    .Input("codes: int8")
    .Input("scales: float")
    .Output("y: float")
    .SetShapeFn(storedMatrixShape);

/** Scales are for rows (out, 1). With `integers` x is rounded to 8 bits. */
class ProductOfInt8Op : public OpKernel {
 public:
  explicit ProductOfInt8Op(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("integers", &integers_)); }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &codes = c->input(1), &scales = c->input(2);
    OP_REQUIRES(c, areMatrices(x, codes, scales) && codes.dim_size(1) == x.dim_size(1) && scales.dim_size(1) == 1 &&
                       scales.dim_size(0) == codes.dim_size(0),
                InvalidArgument("a product of ", x.shape().DebugString(), " and ", codes.shape().DebugString(), " with scales ",
                                scales.shape().DebugString()));
    const UnpackInt8<float> w{codes.dim_size(1), true, codes.flat<tensorflow::int8>().data(), dataOf<float>(scales), nullptr};
    if (integers_) return integerProductWithStored(c, w, codes.dim_size(0), false, kernels().integerProducts.int8);
    productWithStored(c, w, codes.dim_size(0), kernels().storedProducts.int8);
  }

 private:
  bool integers_;
};
REGISTER_KERNEL_BUILDER(Name("GraftProductOfInt8").Device(tensorflow::DEVICE_CPU), ProductOfInt8Op);

REGISTER_OP("GraftProductOfNf4")
    .Attr("integers: bool")
    .Attr("shape: shape")
    .Input("x: float")
    .Input("packed: uint8")
    .Input("map: float")
    .Output("y: float")
    .SetShapeFn([](InferenceContext* c) {
      TensorShape shape;
      TF_RETURN_IF_ERROR(c->GetAttr("shape", &shape));
      return storedProductShape(c, c->MakeDim(shape.dims() == 2 ? shape.dim_size(0) : -1));
    });

/** `packed` as in GraftUnpackNf4. */
class ProductOfNf4Op : public OpKernel {
 public:
  explicit ProductOfNf4Op(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("integers", &integers_));
    OP_REQUIRES_OK(c, c->GetAttr("shape", &shape_));
    OP_REQUIRES(c, shape_.dims() == 2 && shape_.dim_size(1) % 64 == 0, InvalidArgument("rows of NF4 are whole blocks of 64"));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    OP_REQUIRES(c, areMatrices(x) && x.dim_size(1) == shape_.dim_size(1),
                InvalidArgument("a product of ", x.shape().DebugString(), " and ", shape_.DebugString()));
    UnpackNf4<float> w;
    OP_REQUIRES_OK(c, nf4Of(c->input(1), c->input(2), shape_.num_elements(), &w));
    if (integers_) return integerProductWithStored(c, w, shape_.dim_size(0), true, kernels().integerProducts.nf4);
    productWithStored(c, w, shape_.dim_size(0), kernels().storedProducts.nf4);
  }

 private:
  bool integers_;
  TensorShape shape_;
};
REGISTER_KERNEL_BUILDER(Name("GraftProductOfNf4").Device(tensorflow::DEVICE_CPU), ProductOfNf4Op);

REGISTER_OP("GraftRowUpdates")
    .Attr("modules: list(int)")
    .Attr("widths: list(int)")
    .Input("arena: resource")
    .Input("y: float")
    .Input("x: float")
    .Input("owners: int32")
    .Input("places: int32")
    .Input("scales: float")
    .Output("sum: float")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      return tensorflow::OkStatus();
    });

class RowUpdatesOp : public OpKernel {
 public:
  explicit RowUpdatesOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("modules", &modules_));
    std::vector<int64_t> widths;
    OP_REQUIRES_OK(c, c->GetAttr("widths", &widths));
    const auto isNegative = [](int64_t number) { return number < 0; };
    OP_REQUIRES(c, widths.size() == modules_.size() && std::none_of(widths.begin(), widths.end(), isNegative) &&
                       std::none_of(modules_.begin(), modules_.end(), isNegative),
                InvalidArgument("each module has a number and a width, which are not negative"));
    for (const int64_t width : widths) offsets_.push_back(offsets_.back() + width);
  }
  void Compute(OpKernelContext* c) override {
    // Reads the variable itself: as a tensor it would be copied, since it is written in parts.
    tensorflow::core::RefCountPtr<tensorflow::Var> variable;
    OP_REQUIRES_OK(c, tensorflow::LookupResource(c, tensorflow::HandleFromInput(c, 0), &variable));
    tensorflow::tf_shared_lock lock(*variable->mu());
    const Tensor &arena = *variable->tensor(), &y = c->input(1), &x = c->input(2), &owners = c->input(3), &places = c->input(4),
                 &scales = c->input(5);
    OP_REQUIRES(c, areMatrices(y, x, scales) && arena.dtype() == tensorflow::DT_FLOAT,
                InvalidArgument("rows, their inputs and the scales of their updates are matrices, and the arena holds floats"));
    const int64_t rows = y.dim_size(0), in = x.dim_size(1), adapters = scales.dim_size(0), modules = scales.dim_size(1);
    OP_REQUIRES(c, x.dim_size(0) == rows && owners.NumElements() == rows && y.dim_size(1) == offsets_.back() &&
                       places.NumElements() == 3 * adapters * modules,
                InvalidArgument("updates of rows do not fit together"));
    for (int64_t n = 0; n < rows; n++)
      OP_REQUIRES(c, owners.flat<tensorflow::int32>()(n) < adapters, InvalidArgument("row ", n, " has an unknown adapter"));
    const int32_t* place = places.flat<tensorflow::int32>().data();
    for (int64_t adapter = 0; adapter < adapters; adapter++)
      for (size_t i = 0; i < modules_.size(); i++) {
        const int32_t* p = place + 3 * (adapter * modules + modules_[i]);
        const auto within = [&](int64_t begin, int64_t width) { return begin >= 0 && begin + p[2] * width <= arena.NumElements(); };
        OP_REQUIRES(c, modules_[i] < modules && p[2] >= 0 && within(p[0], in) && within(p[1], offsets_[i + 1] - offsets_[i]),
                    InvalidArgument("module ", modules_[i], " of adapter ", adapter, " is not within the arena"));
      }
    Tensor* sum = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({1}, 0, y.shape(), &sum));
    float* to = dataOf<float>(sum);
    if (to != dataOf<float>(y)) std::memcpy(to, dataOf<float>(y), y.TotalBytes());
    const RowUpdates arguments{in,
                               offsets_.back(),
                               static_cast<int64_t>(modules_.size()),
                               modules,
                               modules_.data(),
                               offsets_.data(),
                               dataOf<float>(x),
                               dataOf<float>(arena),
                               owners.flat<tensorflow::int32>().data(),
                               place,
                               dataOf<float>(scales),
                               to};
    shareWithCrew(c, rows, (in + offsets_.back()) * 4, kernels().serving.rowUpdates, arguments);
  }

 private:
  std::vector<int64_t> modules_, offsets_{0};
};
REGISTER_KERNEL_BUILDER(Name("GraftRowUpdates").Device(tensorflow::DEVICE_CPU), RowUpdatesOp);

REGISTER_OP("GraftCachedAttention")
    .Attr("heads: int")
    .Attr("kv_heads: int")
    .Attr("head_size: int")
    .Attr("scale: float")
    .Attr("window: int")
    .Attr("block: int")
    .Input("cache: resource")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("cosines: float")
    .Input("sines: float")
    .Input("spans: int32")
    .Input("blocks: int32")
    .Input("sinks: float")
    .Output("y: float")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      return tensorflow::OkStatus();
    });

/** spans (S, 3): begin and end of each sequence's new positions, and its number of cached positions; blocks (S, B): its cache blocks. */
class CachedAttentionOp : public OpKernel {
 public:
  explicit CachedAttentionOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("heads", &a_.heads));
    OP_REQUIRES_OK(c, c->GetAttr("kv_heads", &a_.kvHeads));
    OP_REQUIRES_OK(c, c->GetAttr("head_size", &a_.headSize));
    OP_REQUIRES_OK(c, c->GetAttr("scale", &a_.scale));
    OP_REQUIRES_OK(c, c->GetAttr("window", &a_.window));
    OP_REQUIRES_OK(c, c->GetAttr("block", &a_.blockRows));
    OP_REQUIRES(c, a_.heads > 0 && a_.kvHeads > 0 && a_.heads % a_.kvHeads == 0 && a_.headSize > 0 && a_.window >= 0 && a_.blockRows > 0,
                InvalidArgument("attention of ", a_.heads, " heads of ", a_.headSize, " numbers over ", a_.kvHeads,
                                " key heads, with a window of ", a_.window, " and blocks of ", a_.blockRows, " rows"));
    a_.cacheWidth = 2 * a_.kvHeads * a_.headSize;
  }
  void Compute(OpKernelContext* c) override {
    tensorflow::core::RefCountPtr<tensorflow::Var> cache;
    OP_REQUIRES_OK(c, tensorflow::LookupResource(c, tensorflow::HandleFromInput(c, 0), &cache));
    tensorflow::mutex_lock lock(*cache->mu());
    OP_REQUIRES_OK(c, own(c, cache->tensor()));
    const Tensor &q = c->input(1), &k = c->input(2), &v = c->input(3), &cosines = c->input(4), &sines = c->input(5),
                 &spans = c->input(6), &blocks = c->input(7), &sinks = c->input(8);
    OP_REQUIRES(c, areMatrices(q, cosines, sines, spans, blocks) && spans.dim_size(1) == 3 && blocks.dim_size(0) == spans.dim_size(0) &&
                       cache->tensor()->dtype() == tensorflow::DT_FLOAT,
                InvalidArgument("attention over a cache takes matrices of floats, and three numbers and blocks for each sequence"));
    const int64_t rows = q.dim_size(0), shared = a_.kvHeads * a_.headSize;
    const auto fits = [&](const Tensor& t, int64_t width) { return t.dims() == 2 && t.dim_size(0) == rows && t.dim_size(1) == width; };
    const int64_t half = cosines.dim_size(1);
    OP_REQUIRES(c, fits(q, a_.heads * a_.headSize) && fits(k, shared) && fits(v, shared) && 2 * half <= a_.headSize &&
                       cosines.shape() == sines.shape() && (half == 0 || cosines.dim_size(0) == rows) &&
                       cache->tensor()->NumElements() % (a_.blockRows * a_.cacheWidth) == 0,
                InvalidArgument("queries, keys, values and their cache do not fit together"));
    OP_REQUIRES(c, areSinks(sinks, a_.heads), InvalidArgument("attention takes a sink for each head, or none"));
    CachedAttention a = a_;
    a.half = half;
    a.sinks = sinks.NumElements() > 0 ? dataOf<float>(sinks) : nullptr;
    a.q = dataOf<float>(q);
    a.k = dataOf<float>(k);
    a.v = dataOf<float>(v);
    a.cosines = dataOf<float>(cosines);
    a.sines = dataOf<float>(sines);
    a.cache = cache->tensor()->flat<float>().data();
    std::vector<CachedSequence> sequences;
    if (!read(c, spans, blocks, rows, cache->tensor()->NumElements() / (a_.blockRows * a_.cacheWidth), &sequences)) return;
    a.sequences = sequences.data();
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, q.shape(), &y));
    a.y = dataOf<float>(y);
    // Positions outside of sequences are padding.
    std::memset(a.y, 0, y->TotalBytes());

    const ServingKernels& serving = kernels().serving;
    std::vector<CachedTask> tasks;
    int64_t keys = 0;
    for (size_t i = 0; i < sequences.size(); i++) {
      const CachedSequence& s = sequences[i];
      serving.cacheKeysAndValues(a, i);
      keys = std::max(keys, s.before + s.end - s.begin);
      for (int64_t first = 0; first < s.end - s.begin; first += serving.block)
        for (int64_t head = 0; head < a.kvHeads; head++) tasks.push_back({static_cast<int64_t>(i), head, first});
    }
    const int64_t scratch = serving.cachedAttentionScratch(keys, a.headSize, a.heads / a.kvHeads);
    OP_REQUIRES_OK(c, eachTaskOfCrew(c, tasks.size(), scratch, [&](int64_t i, float* memory) {
                     serving.cachedAttention(a, tasks[i], memory);
                   }));
  }

 private:
  /** Copies the cache unless this op owns it: the assigned tensor may be a constant, or also another variable's value. */
  static tensorflow::Status own(OpKernelContext* c, Tensor* cache) {
    if (cache->RefCountIsOne()) return tensorflow::OkStatus();
    Tensor copy;
    TF_RETURN_IF_ERROR(c->allocate_temp(cache->dtype(), cache->shape(), &copy));
    std::memcpy(copy.data(), cache->data(), cache->TotalBytes());
    *cache = copy;
    return tensorflow::OkStatus();
  }

  bool read(OpKernelContext* c, const Tensor& spans, const Tensor& blocks, int64_t rows, int64_t inCache,
            std::vector<CachedSequence>* sequences) {
    const int32_t* span = spans.flat<tensorflow::int32>().data();
    const int32_t* own = blocks.flat<tensorflow::int32>().data();
    const int64_t most = blocks.dim_size(1);
    for (int64_t i = 0; i < spans.dim_size(0); i++, span += 3, own += most) {
      const CachedSequence s{span[0], span[1], span[2], own};
      if (s.begin == s.end) continue;
      const int64_t used = (s.before + s.end - s.begin + a_.blockRows - 1) / a_.blockRows;
      const bool within = s.begin >= 0 && s.begin < s.end && s.end <= rows && s.before >= 0 && used <= most &&
                          std::all_of(own, own + used, [&](int32_t block) { return block >= 0 && block < inCache; });
      if (!within) return c->CtxFailure(InvalidArgument("sequence ", i, " is not within the list and the cache")), false;
      sequences->push_back(s);
    }
    return true;
  }

  CachedAttention a_{};
};
REGISTER_KERNEL_BUILDER(Name("GraftCachedAttention").Device(tensorflow::DEVICE_CPU), CachedAttentionOp);

}  // namespace graft
