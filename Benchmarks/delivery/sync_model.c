// Preloaded under a benchmark: counts what is written and synced, and makes every sync last as long as on a memory
// card (SYNC_MODEL_MICROSECONDS), whatever the disk below can do.
//
//   cc -O2 -shared -fPIC -o sync_model.so sync_model.c -ldl
//   SYNC_MODEL_MICROSECONDS=10000 LD_PRELOAD=./sync_model.so program

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_ullong syncs;
static atomic_ullong written;

/// Read by the program through dlsym: syncs and bytes since the start.
void sync_model_counters(uint64_t *sync_count, uint64_t *byte_count) {
  *sync_count = atomic_load(&syncs);
  *byte_count = atomic_load(&written);
}

static int modelled(void) {
  static int microseconds = -1;
  if (microseconds < 0) {
    const char *text = getenv("SYNC_MODEL_MICROSECONDS");
    microseconds = text ? atoi(text) : 0;
  }
  atomic_fetch_add(&syncs, 1);
  if (microseconds > 0) {
    struct timespec pause = {microseconds / 1000000, (microseconds % 1000000) * 1000L};
    nanosleep(&pause, NULL);
  }
  return 0;
}

// The model takes the place of the real sync: the disk's own time is not what is compared.
int fsync(int descriptor) { (void)descriptor; return modelled(); }
int fdatasync(int descriptor) { (void)descriptor; return modelled(); }

#define COUNTED(name, type, parameters, arguments)                              \
  type name parameters {                                                        \
    static type(*real) parameters;                                              \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);              \
    type done = real arguments;                                                 \
    if (done > 0) atomic_fetch_add(&written, (unsigned long long)done);         \
    return done;                                                                \
  }

COUNTED(write, ssize_t, (int descriptor, const void *bytes, size_t count), (descriptor, bytes, count))
COUNTED(pwrite, ssize_t, (int descriptor, const void *bytes, size_t count, off_t offset),
        (descriptor, bytes, count, offset))
COUNTED(pwrite64, ssize_t, (int descriptor, const void *bytes, size_t count, off64_t offset),
        (descriptor, bytes, count, offset))
