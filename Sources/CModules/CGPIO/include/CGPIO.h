// GPIO lines over libgpiod 1.6 (Debian 12) and 2.x (Debian 13), whose interfaces are incompatible; one shim for both.
// Functions that fail return NULL or -1 and leave their reason in errno.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// One requested line. Made by cgpio_request_*, freed by cgpio_release.
typedef struct cgpio_line cgpio_line;

/// The library's major interface this shim was compiled for: 1 or 2.
int cgpio_interface_version(void);

/// Finds a chip by its label (e.g. "pinctrl-rp1") or by its name (e.g. "gpiochip0") among /dev/gpiochip0...63.
/// Writes its device path. ENOENT when there is none; EACCES when none matched and one could not be opened.
int cgpio_find_chip(const char *_Nonnull label_or_name, char *_Nonnull path, size_t path_size);

/// The offset of the line called `name` on the chip at `path`, or -1 (ENOENT: no such line).
int cgpio_find_line(const char *_Nonnull path, const char *_Nonnull name);

enum cgpio_bias { CGPIO_BIAS_AS_IS = 0, CGPIO_BIAS_PULL_UP = 1, CGPIO_BIAS_PULL_DOWN = 2 };

/// Requests an input whose edges, both kinds, are events.
cgpio_line *_Nullable cgpio_request_input(
    const char *_Nonnull path, unsigned offset, const char *_Nonnull consumer, int active_low, enum cgpio_bias bias);

/// Requests an output and drives it inactive.
cgpio_line *_Nullable cgpio_request_output(
    const char *_Nonnull path, unsigned offset, const char *_Nonnull consumer, int active_low);

/// 1 active, 0 inactive, -1 on failure. "Active" already accounts for active_low.
int cgpio_get(cgpio_line *_Nonnull line);

/// Drives an output. 0 or -1.
int cgpio_set(cgpio_line *_Nonnull line, int active);

/// The descriptor that polls readable when an input has an event, or -1.
int cgpio_event_descriptor(cgpio_line *_Nonnull line);

/// Takes one pending event: 1 when the line became active, 0 when inactive, -1 on failure. Blocks without one.
int cgpio_take_event(cgpio_line *_Nonnull line);

/// Gives the line back and frees it.
void cgpio_release(cgpio_line *_Nonnull line);
