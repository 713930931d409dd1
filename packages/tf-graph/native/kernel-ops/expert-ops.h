// Ops of networks with several experts, of which each token has chosen some.
#pragma once
#include "op.h"
#include "unpack-ops.h"

namespace graft {

/** Of a product with W (E, rows, width). */
inline tensorflow::Status expertProductShape(InferenceContext* c, DimensionHandle width) {
  int64_t count;
  bool reversed;
  TF_RETURN_IF_ERROR(c->GetAttr("count", &count));
  TF_RETURN_IF_ERROR(c->GetAttr("reversed", &reversed));
  ShapeHandle experts;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &experts));
  if (!reversed) width = c->MakeDim(count);
  TF_RETURN_IF_ERROR(c->Multiply(c->Dim(experts, 1), width, &width));
  c->set_output(0, c->Matrix(c->Dim(experts, 0), width));
  return tensorflow::OkStatus();
}
inline tensorflow::Status productWithStackShape(InferenceContext* c) {
  ShapeHandle w;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 3, &w));
  return expertProductShape(c, c->Dim(w, 2));
}

#define GRAFT_EXPERT_PRODUCT(name) \
  REGISTER_OP(name)                \
      .Attr("T: {float, bfloat16}") \
      .Attr("first: int")          \
      .Attr("count: int")          \
      .Attr("reversed: bool")      \
      .Input("x: T")               \
      .Input("experts: int32")     \
      .Output("y: T")

GRAFT_EXPERT_PRODUCT("GraftExpertProduct").Input("w: T").SetShapeFn(productWithStackShape);
GRAFT_EXPERT_PRODUCT("GraftExpertProductOfInt8").Input("codes: int8").Input("scales: float").SetShapeFn(productWithStackShape);
GRAFT_EXPERT_PRODUCT("GraftExpertProductOfNf4")
    .Attr("shape: shape")
    .Input("packed: uint8")
    .Input("map: float")
    .SetShapeFn([](InferenceContext* c) {
      TensorShape shape;
      TF_RETURN_IF_ERROR(c->GetAttr("shape", &shape));
      return expertProductShape(c, c->MakeDim(shape.dims() == 3 ? shape.dim_size(2) : -1));
    });

/** The pairs of tokens and experts (N, k), sorted by expert. */
class SortedPairs {
 public:
  tensorflow::Status sort(const Tensor& experts, int64_t count) {
    const int64_t all = experts.NumElements();
    const int32_t* own = experts.flat<tensorflow::int32>().data();
    starts_.assign(count + 1, 0);
    for (int64_t p = 0; p < all; p++) {
      if (own[p] < 0 || own[p] >= count) return InvalidArgument("there is no expert ", own[p], ", only ", count);
      starts_[own[p] + 1]++;
    }
    for (int64_t e = 0; e < count; e++) starts_[e + 1] += starts_[e];
    std::vector<int64_t> next(starts_.begin(), starts_.end() - 1);
    pairs_.resize(all);
    for (int64_t p = 0; p < all; p++) pairs_[next[own[p]]++] = static_cast<int32_t>(p);
    return tensorflow::OkStatus();
  }
  ExpertPairs of(int64_t chosen) const { return {chosen, pairs_.data(), starts_.data()}; }
  /** Tasks for all outputs; with `all` also of experts without pairs. */
  std::vector<ExpertTask> tasks(int64_t outputs, bool all, int64_t each) const {
    std::vector<ExpertTask> tasks;
    for (int64_t e = 0; e + 1 < static_cast<int64_t>(starts_.size()); e++) {
      if (!all && starts_[e] == starts_[e + 1]) continue;
      for (int64_t begin = 0; begin < outputs; begin += each) tasks.push_back({e, begin, std::min(begin + each, outputs)});
    }
    return tasks;
  }

 private:
  std::vector<int32_t> pairs_;
  std::vector<int64_t> starts_;
};

/** W as one of the arguments of `ExpertProduct`. */
template <typename T>
struct ExpertMatrices {
  const T* w = nullptr;
  const UnpackNf4<float>* nf4 = nullptr;
  const UnpackInt8<float>* int8 = nullptr;
};

/** With `reversed` x has a row of `count` numbers for each pair; else a row of W's width for each pair or each token. */
template <typename T>
class ExpertProductBase : public OpKernel {
 public:
  explicit ExpertProductBase(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("first", &first_));
    OP_REQUIRES_OK(c, c->GetAttr("count", &count_));
    OP_REQUIRES_OK(c, c->GetAttr("reversed", &reversed_));
  }

 protected:
  /** The product with W of `shape` (E, rows, width). */
  void multiply(OpKernelContext* c, const TensorShape& shape, const ExpertMatrices<Stored<T>>& matrices) {
    const Tensor &x = c->input(0), &experts = c->input(1);
    OP_REQUIRES(c, areMatrices(x, experts) && shape.dims() == 3, InvalidArgument("rows and experts are matrices, and W is a stack of them"));
    const int64_t tokens = experts.dim_size(0), chosen = experts.dim_size(1), rows = shape.dim_size(1), width = shape.dim_size(2);
    const int64_t inputs = reversed_ ? count_ : width, outputs = reversed_ ? width : count_;
    const bool shared = !reversed_ && x.dim_size(1) == inputs;
    OP_REQUIRES(c, x.dim_size(0) == tokens && x.dim_size(1) == (shared ? inputs : chosen * inputs),
                InvalidArgument("there is no row of ", inputs, " numbers for each token or each of its experts"));
    OP_REQUIRES(c, first_ >= 0 && count_ > 0 && first_ + count_ <= rows, InvalidArgument("W has only ", rows, " rows"));
    SortedPairs pairs;
    OP_REQUIRES_OK(c, pairs.sort(experts, shape.dim_size(0)));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({tokens, chosen * outputs}), &y));
    const auto& [w, nf4, int8] = matrices;
    const ExpertProduct<Stored<T>> arguments{pairs.of(chosen), inputs, outputs, rows, first_, reversed_, shared, dataOf<T>(x),
                                             w,                nf4,    int8,    dataOf<T>(y)};
    const ExpertSizes sizes = kernelsFor<T>().expertSizes(arguments);
    const std::vector<ExpertTask> tasks = pairs.tasks(outputs, false, sizes.outputs);
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), sizes.scratch, [&](int64_t task, float* memory) {
                     kernelsFor<T>().expertProduct(arguments, tasks[task], memory);
                   }));
  }

 private:
  int64_t first_, count_;
  bool reversed_;
};

template <typename T>
class ExpertProductOp : public ExpertProductBase<T> {
 public:
  using ExpertProductBase<T>::ExpertProductBase;
  void Compute(OpKernelContext* c) override {
    const Tensor& w = c->input(2);
    this->multiply(c, w.shape(), {dataOf<T>(w)});
  }
};
GRAFT_KERNEL("GraftExpertProduct", ExpertProductOp);

/** Codes (E, rows, width), scales (E, rows, 1). */
template <typename T>
class ExpertProductOfInt8Op : public ExpertProductBase<T> {
 public:
  using ExpertProductBase<T>::ExpertProductBase;
  void Compute(OpKernelContext* c) override {
    const Tensor &codes = c->input(2), &scales = c->input(3);
    OP_REQUIRES(c, codes.dims() == 3 && scales.shape() == TensorShape({codes.dim_size(0), codes.dim_size(1), 1}),
                InvalidArgument("there is no scale for each row of W"));
    const UnpackInt8<float> w{codes.dim_size(2), true, codes.flat<tensorflow::int8>().data(), dataOf<float>(scales), nullptr};
    this->multiply(c, codes.shape(), {nullptr, nullptr, &w});
  }
};
GRAFT_KERNEL("GraftExpertProductOfInt8", ExpertProductOfInt8Op);

/** `packed` as in GraftUnpackNf4. */
template <typename T>
class ExpertProductOfNf4Op : public ExpertProductBase<T> {
 public:
  explicit ExpertProductOfNf4Op(OpKernelConstruction* c) : ExpertProductBase<T>(c) {
    OP_REQUIRES_OK(c, c->GetAttr("shape", &shape_));
    OP_REQUIRES(c, shape_.dims() == 3 && shape_.dim_size(2) % 64 == 0, InvalidArgument("rows of NF4 are whole blocks of 64"));
  }
  void Compute(OpKernelContext* c) override {
    UnpackNf4<float> w;
    OP_REQUIRES_OK(c, nf4Of(c->input(2), c->input(3), shape_.num_elements(), &w));
    this->multiply(c, shape_, {nullptr, &w});
  }

 private:
  TensorShape shape_;
};
GRAFT_KERNEL("GraftExpertProductOfNf4", ExpertProductOfNf4Op);

REGISTER_OP("GraftExpertGradient")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Attr("width: int")
    .Input("dy: T")
    .Input("x: T")
    .Input("experts: int32")
    .Output("dw: float")
    .SetShapeFn([](InferenceContext* c) {
      int64_t count, width;
      TF_RETURN_IF_ERROR(c->GetAttr("count", &count));
      TF_RETURN_IF_ERROR(c->GetAttr("width", &width));
      ShapeHandle dy, experts;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &dy));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 2, &experts));
      const int64_t all = c->Value(c->Dim(dy, 1)), chosen = c->Value(c->Dim(experts, 1));
      if (all < 0 || chosen <= 0 || all % chosen != 0) return InvalidArgument("dy has no known number of outputs");
      c->set_output(0, c->MakeShape({count, all / chosen, width}));
      return tensorflow::OkStatus();
    });

template <typename T>
class ExpertGradientOp : public OpKernel {
 public:
  explicit ExpertGradientOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("count", &count_));
    OP_REQUIRES_OK(c, c->GetAttr("width", &width_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &x = c->input(1), &experts = c->input(2);
    OP_REQUIRES(c, areMatrices(dy, x, experts) && experts.dim_size(1) > 0, InvalidArgument("rows and experts are matrices"));
    const int64_t tokens = experts.dim_size(0), chosen = experts.dim_size(1), outputs = dy.dim_size(1) / chosen;
    const bool shared = x.dim_size(1) == width_;
    OP_REQUIRES(c, count_ > 0 && dy.dim_size(0) == tokens && x.dim_size(0) == tokens && dy.dim_size(1) == chosen * outputs &&
                       x.dim_size(1) == (shared ? width_ : chosen * width_),
                InvalidArgument("rows, their gradients and their experts do not fit together"));
    SortedPairs pairs;
    OP_REQUIRES_OK(c, pairs.sort(experts, count_));
    Tensor* dw = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({count_, outputs, width_}), &dw));
    const ExpertGradient<Stored<T>> arguments{pairs.of(chosen), width_,       outputs,          shared,
                                              dataOf<T>(dy),    dataOf<T>(x), dataOf<float>(dw)};
    const std::vector<ExpertTask> tasks = pairs.tasks(outputs, true, kExpertOutputs);
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), kExpertRows * (width_ + kExpertOutputs), [&](int64_t task, float* memory) {
                     kernelsFor<T>().expertGradient(arguments, tasks[task], memory);
                   }));
  }

 private:
  int64_t count_, width_;
};
GRAFT_KERNEL("GraftExpertGradient", ExpertGradientOp);

}  // namespace graft
