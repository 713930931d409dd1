// Makes the kernels TensorFlow's. A library of its own, loaded by TF_LoadLibrary: where it is missing or fails to load, stock ops
// compute the same. One unit of compilation, because TensorFlow's headers take longer than all that is here.
#include <atomic>
#include <cstring>
#include <string>

#include "activation-ops.h"
#include "attention-ops.h"
#include "columns-ops.h"
#include "dropout-ops.h"
#include "loss-ops.h"
#include "low-rank-ops.h"
#include "norm-ops.h"
#include "serving-ops.h"
#include "unpack-ops.h"
