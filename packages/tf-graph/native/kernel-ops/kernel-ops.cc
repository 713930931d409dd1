// Registers the kernels with TensorFlow. A separate library, loaded by TF_LoadLibrary: if it is missing or fails to load, stock ops compute
// the same. One translation unit, because TensorFlow's headers take longer to compile than all code here.
#include <atomic>
#include <cstring>
#include <string>

#include "activation-ops.h"
#include "attention-ops.h"
#include "columns-ops.h"
#include "delta-ops.h"
#include "dropout-ops.h"
#include "expert-ops.h"
#include "loss-ops.h"
#include "low-rank-ops.h"
#include "norm-ops.h"
#include "serving-ops.h"
#include "unpack-ops.h"
