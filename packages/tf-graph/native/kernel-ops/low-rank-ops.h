#pragma once
#include "op.h"

namespace graft {

REGISTER_OP("GraftLowRankAdd")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Attr("offsets: list(int)")
    .Attr("transposed: bool")
    .Input("y: T")
    .Input("down: float")
    .Input("matrices: count * float")
    .Output("sum: T")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return tensorflow::OkStatus();
    });

/** Matrices (rank, out), or (out, rank) when transposed; the ranks' lanes lie one after the other in `down`. */
template <typename T>
class LowRankAddOp : public OpKernel {
 public:
  explicit LowRankAddOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("offsets", &offsets_));
    OP_REQUIRES_OK(c, c->GetAttr("transposed", &transposed_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &y = c->input(0), &down = c->input(1);
    OpInputList matrices;
    OP_REQUIRES_OK(c, c->input_list("matrices", &matrices));
    const int64_t rows = y.dim_size(0), width = y.dim_size(1);
    OP_REQUIRES(c, static_cast<int>(offsets_.size()) == matrices.size() && down.dim_size(0) == rows,
                InvalidArgument("low-rank parts do not fit together"));
    std::vector<LowRankPart> parts;
    std::vector<std::unique_ptr<float[]>> turned;
    int64_t lane = 0;
    for (int i = 0; i < matrices.size(); i++) {
      const int64_t rank = matrices[i].dim_size(transposed_ ? 1 : 0), out = matrices[i].dim_size(transposed_ ? 0 : 1);
      OP_REQUIRES(c, offsets_[i] >= 0 && offsets_[i] + out <= width, InvalidArgument("low-rank part ", i, " is too wide"));
      const float* m = dataOf<float>(matrices[i]);
      if (transposed_) {
        turned.emplace_back(new float[rank * out]);
        float* to = turned.back().get();
        for (int64_t o = 0; o < out; o++)
          for (int64_t r = 0; r < rank; r++) to[r * out + o] = m[o * rank + r];
        m = to;
      }
      parts.push_back({offsets_[i], out, lane, rank, m});
      lane += rank;
    }
    OP_REQUIRES(c, lane == down.dim_size(1), InvalidArgument("down has ", down.dim_size(1), " columns, the parts ", lane));
    Tensor* sum = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, y.shape(), &sum));
    Stored<T>* to = dataOf<T>(sum);
    if (to != dataOf<T>(y)) std::memcpy(to, dataOf<T>(y), y.TotalBytes());
    const LowRankAdd<Stored<T>> arguments{width, lane, static_cast<int64_t>(parts.size()), parts.data(), dataOf<float>(down), to};
    share(c, rows, width * lane / std::max<int64_t>(1, parts.size()) / 8 + width, kernelsFor<T>().lowRankAdd, arguments);
  }

 private:
  std::vector<int64_t> offsets_;
  bool transposed_;
};
GRAFT_KERNEL("GraftLowRankAdd", LowRankAddOp);

}  // namespace graft
