// Ops of networks with several experts, of which each token has chosen some.
#pragma once
#include "op.h"

namespace graft {

REGISTER_OP("GraftExpertProduct")
    .Attr("T: {float, bfloat16}")
    .Attr("first: int")
    .Attr("count: int")
    .Attr("reversed: bool")
    .Input("x: T")
    .Input("experts: int32")
    .Input("w: T")
    .Output("y: T")
    .SetShapeFn([](InferenceContext* c) {
      int64_t count;
      bool reversed;
      TF_RETURN_IF_ERROR(c->GetAttr("count", &count));
      TF_RETURN_IF_ERROR(c->GetAttr("reversed", &reversed));
      ShapeHandle experts, w;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &experts));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 3, &w));
      DimensionHandle width = reversed ? c->Dim(w, 2) : c->MakeDim(count);
      TF_RETURN_IF_ERROR(c->Multiply(c->Dim(experts, 1), width, &width));
      c->set_output(0, c->Matrix(c->Dim(experts, 0), width));
      return tensorflow::OkStatus();
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
  std::vector<ExpertTask> tasks(int64_t outputs, bool all) const {
    std::vector<ExpertTask> tasks;
    for (int64_t e = 0; e + 1 < static_cast<int64_t>(starts_.size()); e++) {
      if (!all && starts_[e] == starts_[e + 1]) continue;
      for (int64_t begin = 0; begin < outputs; begin += kExpertOutputs)
        tasks.push_back({e, begin, std::min(begin + kExpertOutputs, outputs)});
    }
    return tasks;
  }

 private:
  std::vector<int32_t> pairs_;
  std::vector<int64_t> starts_;
};

/** With `reversed` x has a row of `count` numbers for each pair; else a row of W's width for each pair or each token. */
template <typename T>
class ExpertProductOp : public OpKernel {
 public:
  explicit ExpertProductOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("first", &first_));
    OP_REQUIRES_OK(c, c->GetAttr("count", &count_));
    OP_REQUIRES_OK(c, c->GetAttr("reversed", &reversed_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &experts = c->input(1), &w = c->input(2);
    OP_REQUIRES(c, areMatrices(x, experts) && w.dims() == 3, InvalidArgument("rows and experts are matrices, and W is a stack of them"));
    const int64_t tokens = experts.dim_size(0), chosen = experts.dim_size(1), rows = w.dim_size(1), width = w.dim_size(2);
    const int64_t inputs = reversed_ ? count_ : width, outputs = reversed_ ? width : count_;
    const bool shared = !reversed_ && x.dim_size(1) == inputs;
    OP_REQUIRES(c, x.dim_size(0) == tokens && x.dim_size(1) == (shared ? inputs : chosen * inputs),
                InvalidArgument("there is no row of ", inputs, " numbers for each token or each of its experts"));
    OP_REQUIRES(c, first_ >= 0 && count_ > 0 && first_ + count_ <= rows, InvalidArgument("W has only ", rows, " rows"));
    SortedPairs pairs;
    OP_REQUIRES_OK(c, pairs.sort(experts, w.dim_size(0)));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({tokens, chosen * outputs}), &y));
    const ExpertProduct<Stored<T>> arguments{pairs.of(chosen), inputs,  outputs,      rows,         first_,      reversed_,
                                             shared,           dataOf<T>(x), dataOf<T>(w), dataOf<T>(y)};
    const std::vector<ExpertTask> tasks = pairs.tasks(outputs, false);
    const int64_t copy = sizeof(T) == sizeof(float) ? 0 : kExpertOutputs * inputs;
    const int64_t scratch = kExpertRows * (inputs + kExpertOutputs) + copy;
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), scratch, [&](int64_t task, float* memory) {
                     kernelsFor<T>().expertProduct(arguments, tasks[task], memory);
                   }));
  }

 private:
  int64_t first_, count_;
  bool reversed_;
};
GRAFT_KERNEL("GraftExpertProduct", ExpertProductOp);

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
    const std::vector<ExpertTask> tasks = pairs.tasks(outputs, true);
    OP_REQUIRES_OK(c, eachTask(c, tasks.size(), kExpertRows * (width_ + kExpertOutputs), [&](int64_t task, float* memory) {
                     kernelsFor<T>().expertGradient(arguments, tasks[task], memory);
                   }));
  }

 private:
  int64_t count_, width_;
};
GRAFT_KERNEL("GraftExpertGradient", ExpertGradientOp);

}  // namespace graft
