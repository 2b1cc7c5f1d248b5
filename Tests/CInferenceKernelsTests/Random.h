// A seeded generator (SplitMix64) and the distributions the tests draw from.
#pragma once

#include <stdint.h>
#include <stdlib.h>

typedef struct {
  uint64_t state;
} generator;

static inline uint64_t next_random(generator *g) {
  uint64_t z = (g->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Uniform in low ... high.
static inline int32_t between(generator *g, int32_t low, int32_t high) {
  return (int32_t)(low + (int64_t)(next_random(g) % (uint64_t)((int64_t)high - low + 1)));
}

static inline int one_in(generator *g, int n) { return between(g, 1, n) == 1; }

static inline double unit(generator *g) { return (double)(next_random(g) >> 11) / 9007199254740992.0; }

/// int8 tensors: now and then all minimum, all maximum or only the two, where saturating kernels go wrong.
static inline void fill_random(generator *g, int8_t *values, size_t count, int8_t low) {
  const int kind = between(g, 0, 9);
  for (size_t i = 0; i < count; i++)
    values[i] = kind == 0 ? low : kind == 1 ? 127 : kind == 2 ? (one_in(g, 2) ? low : 127)
                                                              : (int8_t)between(g, low, 127);
}
