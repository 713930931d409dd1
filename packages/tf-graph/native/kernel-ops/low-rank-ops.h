#pragma once
#include <algorithm>

#include "dropout-ops.h"

namespace graft {

REGISTER_OP("GraftLowRankAdd")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Attr("offsets: list(int)")
    .Attr("transposed: bool")
    .Attr("dropout: float = 0")
    .Input("y: T")
    .Input("down: float")
    .Input("matrices: count * float")
    .Input("seeds: int32")
    .Output("sum: T")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return tensorflow::OkStatus();
    });

/** Transposes m (out, rank) to (rank, out), in `turned`. */
inline tensorflow::Status turn(OpKernelContext* c, const Tensor& m, Tensor* turned) {
  const int64_t out = m.dim_size(0), rank = m.dim_size(1);
  TF_RETURN_IF_ERROR(temporary(c, rank * out, turned));
  const float* from = dataOf<float>(m);
  float* to = dataOf<float>(turned);
  for (int64_t o = 0; o < out; o++)
    for (int64_t r = 0; r < rank; r++) to[r * out + o] = from[o * rank + r];
  return tensorflow::OkStatus();
}

/** Matrices (rank, out), or (out, rank) if transposed, in the form for the kernels: side by side in the lanes of `down`. */
class LowRankParts {
 public:
  tensorflow::Status read(OpKernelContext* c, const OpInputList& matrices, const std::vector<int64_t>& offsets, bool transposed) {
    if (static_cast<int>(offsets.size()) != matrices.size() || !areMatrices(matrices))
      return InvalidArgument("there is no offset for each low-rank part, or a part is no matrix");
    turned_.resize(transposed ? matrices.size() : 0);
    for (int i = 0; i < matrices.size(); i++) {
      const int64_t rank = matrices[i].dim_size(transposed ? 1 : 0), out = matrices[i].dim_size(transposed ? 0 : 1);
      if (transposed) TF_RETURN_IF_ERROR(turn(c, matrices[i], &turned_[i]));
      parts.push_back({offsets[i], out, lanes, rank, dataOf<float>(transposed ? turned_[i] : matrices[i])});
      lanes += rank;
    }
    return tensorflow::OkStatus();
  }
  bool fit(int64_t width) const {
    return std::all_of(parts.begin(), parts.end(),
                       [&](const LowRankPart& part) { return part.offset >= 0 && part.offset + part.out <= width; });
  }
  int64_t count() const { return static_cast<int64_t>(parts.size()); }
  /** Estimated CPU cycles for a row of `width`. */
  int64_t cost(int64_t width) const { return width * lanes / std::max<int64_t>(1, count()) / 8 + width; }

  std::vector<LowRankPart> parts;
  int64_t lanes = 0;

 private:
  std::vector<Tensor> turned_;
};

template <typename T>
class LowRankAddOp : public OpKernel {
 public:
  explicit LowRankAddOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("offsets", &offsets_));
    OP_REQUIRES_OK(c, c->GetAttr("transposed", &transposed_));
    OP_REQUIRES_OK(c, c->GetAttr("dropout", &dropout_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &y = c->input(0), &down = c->input(1), &seeds = c->input(c->num_inputs() - 1);
    OpInputList matrices;
    OP_REQUIRES_OK(c, c->input_list("matrices", &matrices));
    OP_REQUIRES(c, areMatrices(y, down) && down.dim_size(0) == y.dim_size(0), InvalidArgument("low-rank parts do not fit together"));
    const int64_t rows = y.dim_size(0), width = y.dim_size(1);
    LowRankParts all;
    OP_REQUIRES_OK(c, all.read(c, matrices, offsets_, transposed_));
    OP_REQUIRES(c, isSeed(seeds, dropout_, all.count()), InvalidArgument("each part that drops needs a seed of two numbers"));
    for (int64_t i = 0; i < all.count(); i++) all.parts[i].dropout = dropoutOf(seeds, dropout_, i);
    OP_REQUIRES(c, all.fit(width) && all.lanes == down.dim_size(1),
                InvalidArgument("low-rank parts do not fit into ", width, " columns and ", down.dim_size(1), " lanes"));
    Tensor* sum = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, y.shape(), &sum));
    Stored<T>* to = dataOf<T>(sum);
    if (to != dataOf<T>(y)) std::memcpy(to, dataOf<T>(y), y.TotalBytes());
    const LowRankAdd<Stored<T>> arguments{width, all.lanes, all.count(), all.parts.data(), dataOf<float>(down), to};
    share(c, rows, all.cost(width), kernelsFor<T>().lowRankAdd, arguments);
  }

 private:
  std::vector<int64_t> offsets_;
  bool transposed_;
  float dropout_;
};
GRAFT_KERNEL("GraftLowRankAdd", LowRankAddOp);

REGISTER_OP("GraftLowRankDown")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Attr("offsets: list(int)")
    .Attr("scales: list(float)")
    .Attr("lanes: int")
    .Input("x: T")
    .Input("matrices: count * float")
    .Output("down: float")
    .SetShapeFn([](InferenceContext* c) {
      int64_t lanes;
      TF_RETURN_IF_ERROR(c->GetAttr("lanes", &lanes));
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
      c->set_output(0, c->Matrix(c->Dim(x, 0), lanes));
      return tensorflow::OkStatus();
    });

/** Matrices (out, rank). */
template <typename T>
class LowRankDownOp : public OpKernel {
 public:
  explicit LowRankDownOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("offsets", &offsets_));
    OP_REQUIRES_OK(c, c->GetAttr("scales", &scales_));
    OP_REQUIRES_OK(c, c->GetAttr("lanes", &lanes_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    OpInputList matrices;
    OP_REQUIRES_OK(c, c->input_list("matrices", &matrices));
    OP_REQUIRES(c, areMatrices(x) && static_cast<int>(scales_.size()) == matrices.size(),
                InvalidArgument("low-rank parts do not fit together"));
    const int64_t rows = x.dim_size(0), width = x.dim_size(1);
    LowRankParts all;
    OP_REQUIRES_OK(c, all.read(c, matrices, offsets_, true));
    OP_REQUIRES(c, all.fit(width) && all.lanes == lanes_,
                InvalidArgument("low-rank parts do not fit into ", width, " columns and ", lanes_, " lanes"));
    for (size_t i = 0; i < scales_.size(); i++) all.parts[i].scale = scales_[i];
    Tensor* down = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, lanes_}), &down));
    const LowRankDown<Stored<T>> arguments{width, lanes_, all.count(), all.parts.data(), dataOf<T>(x), dataOf<float>(down)};
    share(c, rows, all.cost(width), kernelsFor<T>().lowRankDown, arguments);
  }

 private:
  std::vector<int64_t> offsets_;
  std::vector<float> scales_;
  int64_t lanes_;
};
GRAFT_KERNEL("GraftLowRankDown", LowRankDownOp);

REGISTER_OP("GraftUpdatedNorms")
    .Attr("T: {float, bfloat16}")
    .Attr("scale: float")
    .Attr("transposed: bool")
    .Input("w: T")
    .Input("a: float")
    .Input("b: float")
    .Output("norms: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle b;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 2, &b));
      c->set_output(0, c->Vector(c->Dim(b, 0)));
      return tensorflow::OkStatus();
    });

template <typename T>
class UpdatedNormsOp : public OpKernel {
 public:
  explicit UpdatedNormsOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(c, c->GetAttr("transposed", &transposed_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &w = c->input(0), &a = c->input(1), &b = c->input(2);
    OP_REQUIRES(c, areMatrices(a, b), InvalidArgument("an update is two matrices"));
    const int64_t rank = a.dim_size(0), width = a.dim_size(1), out = b.dim_size(0);
    OP_REQUIRES(c, b.dim_size(1) == rank && w.shape() == (transposed_ ? TensorShape({width, out}) : TensorShape({out, width})),
                InvalidArgument("an update of ", out, " by ", width, " does not fit its weight"));
    Tensor* norms = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({out}), &norms));
    Tensor turned;
    if (transposed_) OP_REQUIRES_OK(c, turn(c, b, &turned));
    const UpdatedNorms<Stored<T>> arguments{out,
                                            width,
                                            rank,
                                            scale_,
                                            transposed_,
                                            dataOf<T>(w),
                                            dataOf<float>(a),
                                            dataOf<float>(transposed_ ? turned : b),
                                            dataOf<float>(norms)};
    share(c, out, width * (rank + 2) / 4, kernelsFor<T>().updatedNorms, arguments);
  }

 private:
  float scale_;
  bool transposed_;
};
GRAFT_KERNEL("GraftUpdatedNorms", UpdatedNormsOp);

}  // namespace graft
