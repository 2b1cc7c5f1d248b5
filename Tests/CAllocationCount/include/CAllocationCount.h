// Counts what the calling thread asks of the allocator and how often it locks a mutex, so that a test can prove that a
// hot path does neither. Linked into test executables only: the definitions take the place of the C library's.
#pragma once

#include <stdint.h>

typedef struct {
  uint64_t allocations;  ///< malloc, calloc, realloc and the aligned forms.
  uint64_t mutex_locks;  ///< pthread_mutex_lock.
  int64_t live_bytes;    ///< Allocated less freed by this thread since the reset.
  int64_t peak_bytes;    ///< The largest live_bytes since the reset.
} allocation_counts;

/// Starts this thread's counts at zero.
void allocation_counts_reset(void);
/// This thread's counts since the reset.
allocation_counts allocation_counts_read(void);
