// Returns memory to the system that this process holds and no step needs.
#ifdef __linux__
#include <malloc.h>
#endif

#include "library-pages.h"
#include "values.h"

/** releaseMemory(): undefined. Takes some milliseconds; later steps are as fast as before. */
void ReleaseMemory(napi_env, napi_callback_info, napi_value*) {
  dropLibraryPages();
#ifdef __linux__
  malloc_trim(0);
#endif
}
