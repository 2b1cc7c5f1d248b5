#define _GNU_SOURCE
#include "CAllocationCount.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>

// glibc's own entry points, exported for exactly this purpose.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *pointer);

// Initial-exec: reaching the counts must not itself allocate.
static __attribute__((tls_model("initial-exec"))) _Thread_local allocation_counts counts;

static void *taken(void *pointer) {
  counts.allocations += 1;
  if (pointer) {
    counts.live_bytes += (int64_t)malloc_usable_size(pointer);
    if (counts.live_bytes > counts.peak_bytes) counts.peak_bytes = counts.live_bytes;
  }
  return pointer;
}

static void given_back(void *pointer) {
  if (pointer) counts.live_bytes -= (int64_t)malloc_usable_size(pointer);
}

void *malloc(size_t size) { return taken(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return taken(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return taken(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return taken(__libc_memalign(alignment, size)); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  void *pointer = taken(__libc_memalign(alignment, size));
  if (!pointer) return ENOMEM;
  *result = pointer;
  return 0;
}

void *realloc(void *pointer, size_t size) {
  given_back(pointer);
  return taken(__libc_realloc(pointer, size));
}

void free(void *pointer) {
  given_back(pointer);
  __libc_free(pointer);
}

typedef int lock_function(pthread_mutex_t *mutex);

int pthread_mutex_lock(pthread_mutex_t *mutex) {
  static _Atomic(lock_function *) next;
  lock_function *lock = next;
  if (!lock) {
    lock = (lock_function *)dlsym(RTLD_NEXT, "pthread_mutex_lock");
    next = lock;
  }
  counts.mutex_locks += 1;
  return lock(mutex);
}

void allocation_counts_reset(void) { counts = (allocation_counts){0}; }
allocation_counts allocation_counts_read(void) { return counts; }
