#include "CGPIO.h"

#include <errno.h>
#include <gpiod.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { chip_limit = 64 };

static bool chip_matches(struct gpiod_chip *chip, const char *label_or_name);

int cgpio_find_chip(const char *label_or_name, char *path, size_t path_size) {
  int failure = ENOENT;
  for (int number = 0; number < chip_limit; number++) {
    char candidate[32];
    snprintf(candidate, sizeof candidate, "/dev/gpiochip%d", number);
    struct gpiod_chip *chip = gpiod_chip_open(candidate);
    if (!chip) {
      // Numbers may have gaps; a chip that is there and closed to us is worth telling.
      if (errno == EACCES || errno == EPERM) failure = EACCES;
      continue;
    }
    bool matches = chip_matches(chip, label_or_name);
    gpiod_chip_close(chip);
    if (!matches) continue;
    if (strlen(candidate) >= path_size) {
      errno = ENAMETOOLONG;
      return -1;
    }
    strcpy(path, candidate);
    return 0;
  }
  errno = failure;
  return -1;
}

#ifdef GPIOD_LINE_BULK_MAX_LINES  // only version 1's header has it

struct cgpio_line {
  struct gpiod_chip *chip;
  struct gpiod_line *line;
};

int cgpio_interface_version(void) { return 1; }

static bool chip_matches(struct gpiod_chip *chip, const char *label_or_name) {
  return strcmp(gpiod_chip_label(chip), label_or_name) == 0 || strcmp(gpiod_chip_name(chip), label_or_name) == 0;
}

int cgpio_find_line(const char *path, const char *name) {
  struct gpiod_chip *chip = gpiod_chip_open(path);
  if (!chip) return -1;
  struct gpiod_line *line = gpiod_chip_find_line(chip, name);
  int offset = line ? (int)gpiod_line_offset(line) : -1;
  gpiod_chip_close(chip);
  if (offset < 0) errno = ENOENT;
  return offset;
}

static cgpio_line *open_line(const char *path, unsigned offset) {
  cgpio_line *opened = calloc(1, sizeof *opened);
  if (!opened) return NULL;
  opened->chip = gpiod_chip_open(path);
  if (opened->chip) opened->line = gpiod_chip_get_line(opened->chip, offset);
  if (opened->line) return opened;
  int failure = errno;
  if (opened->chip) gpiod_chip_close(opened->chip);
  free(opened);
  errno = failure;
  return NULL;
}

static cgpio_line *requested(cgpio_line *line, int result) {
  if (result == 0) return line;
  int failure = errno;
  gpiod_chip_close(line->chip);
  free(line);
  errno = failure;
  return NULL;
}

cgpio_line *cgpio_request_input(
    const char *path, unsigned offset, const char *consumer, int active_low, enum cgpio_bias bias) {
  cgpio_line *line = open_line(path, offset);
  if (!line) return NULL;
  int flags = active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
  if (bias == CGPIO_BIAS_PULL_UP) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
  if (bias == CGPIO_BIAS_PULL_DOWN) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN;
  return requested(line, gpiod_line_request_both_edges_events_flags(line->line, consumer, flags));
}

cgpio_line *cgpio_request_output(const char *path, unsigned offset, const char *consumer, int active_low) {
  cgpio_line *line = open_line(path, offset);
  if (!line) return NULL;
  int flags = active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
  return requested(line, gpiod_line_request_output_flags(line->line, consumer, flags, 0));
}

int cgpio_get(cgpio_line *line) { return gpiod_line_get_value(line->line); }

int cgpio_set(cgpio_line *line, int active) { return gpiod_line_set_value(line->line, active != 0); }

int cgpio_event_descriptor(cgpio_line *line) { return gpiod_line_event_get_fd(line->line); }

int cgpio_take_event(cgpio_line *line) {
  struct gpiod_line_event event;
  if (gpiod_line_event_read(line->line, &event) < 0) return -1;
  return event.event_type == GPIOD_LINE_EVENT_RISING_EDGE;
}

void cgpio_release(cgpio_line *line) {
  gpiod_chip_close(line->chip);  // releases the chip's lines
  free(line);
}

#else  // version 2

struct cgpio_line {
  struct gpiod_line_request *request;
  struct gpiod_edge_event_buffer *events;  // inputs only
  unsigned offset;
};

int cgpio_interface_version(void) { return 2; }

static bool chip_matches(struct gpiod_chip *chip, const char *label_or_name) {
  struct gpiod_chip_info *info = gpiod_chip_get_info(chip);
  if (!info) return false;
  bool matches = strcmp(gpiod_chip_info_get_label(info), label_or_name) == 0 ||
                 strcmp(gpiod_chip_info_get_name(info), label_or_name) == 0;
  gpiod_chip_info_free(info);
  return matches;
}

int cgpio_find_line(const char *path, const char *name) {
  struct gpiod_chip *chip = gpiod_chip_open(path);
  if (!chip) return -1;
  int offset = gpiod_chip_get_line_offset_from_name(chip, name);
  int failure = errno;
  gpiod_chip_close(chip);
  errno = failure;
  return offset;
}

// Requests one line with `settings`, which it frees.
static cgpio_line *request_line(
    const char *path, unsigned offset, const char *consumer, struct gpiod_line_settings *settings) {
  cgpio_line *line = calloc(1, sizeof *line);
  struct gpiod_line_config *lines = gpiod_line_config_new();
  struct gpiod_request_config *request = gpiod_request_config_new();
  struct gpiod_chip *chip = gpiod_chip_open(path);
  if (line && lines && request && chip) {
    gpiod_request_config_set_consumer(request, consumer);
    if (gpiod_line_config_add_line_settings(lines, &offset, 1, settings) == 0) {
      line->request = gpiod_chip_request_lines(chip, request, lines);
      line->offset = offset;
    }
  }
  int failure = errno;
  if (chip) gpiod_chip_close(chip);
  if (request) gpiod_request_config_free(request);
  if (lines) gpiod_line_config_free(lines);
  gpiod_line_settings_free(settings);
  if (line && !line->request) {
    free(line);
    line = NULL;
  }
  errno = failure;
  return line;
}

cgpio_line *cgpio_request_input(
    const char *path, unsigned offset, const char *consumer, int active_low, enum cgpio_bias bias) {
  struct gpiod_line_settings *settings = gpiod_line_settings_new();
  if (!settings) return NULL;
  int result = gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_INPUT);
  if (result == 0) result = gpiod_line_settings_set_edge_detection(settings, GPIOD_LINE_EDGE_BOTH);
  if (result == 0 && bias != CGPIO_BIAS_AS_IS) {
    result = gpiod_line_settings_set_bias(
        settings, bias == CGPIO_BIAS_PULL_UP ? GPIOD_LINE_BIAS_PULL_UP : GPIOD_LINE_BIAS_PULL_DOWN);
  }
  if (result < 0) {
    int failure = errno;
    gpiod_line_settings_free(settings);
    errno = failure;
    return NULL;
  }
  gpiod_line_settings_set_active_low(settings, active_low != 0);
  cgpio_line *line = request_line(path, offset, consumer, settings);
  if (!line) return NULL;
  line->events = gpiod_edge_event_buffer_new(1);
  if (!line->events) {
    int failure = errno;
    cgpio_release(line);
    errno = failure;
    return NULL;
  }
  return line;
}

cgpio_line *cgpio_request_output(const char *path, unsigned offset, const char *consumer, int active_low) {
  struct gpiod_line_settings *settings = gpiod_line_settings_new();
  if (!settings) return NULL;
  int result = gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_OUTPUT);
  if (result == 0) result = gpiod_line_settings_set_output_value(settings, GPIOD_LINE_VALUE_INACTIVE);
  if (result < 0) {
    int failure = errno;
    gpiod_line_settings_free(settings);
    errno = failure;
    return NULL;
  }
  gpiod_line_settings_set_active_low(settings, active_low != 0);
  return request_line(path, offset, consumer, settings);
}

int cgpio_get(cgpio_line *line) {
  switch (gpiod_line_request_get_value(line->request, line->offset)) {
    case GPIOD_LINE_VALUE_ACTIVE: return 1;
    case GPIOD_LINE_VALUE_INACTIVE: return 0;
    default: return -1;
  }
}

int cgpio_set(cgpio_line *line, int active) {
  return gpiod_line_request_set_value(
      line->request, line->offset, active ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE);
}

int cgpio_event_descriptor(cgpio_line *line) { return gpiod_line_request_get_fd(line->request); }

int cgpio_take_event(cgpio_line *line) {
  int count = gpiod_line_request_read_edge_events(line->request, line->events, 1);
  if (count < 0) return -1;
  struct gpiod_edge_event *event = count == 1 ? gpiod_edge_event_buffer_get_event(line->events, 0) : NULL;
  if (!event) {
    errno = EAGAIN;
    return -1;
  }
  return gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE;
}

void cgpio_release(cgpio_line *line) {
  if (line->events) gpiod_edge_event_buffer_free(line->events);
  gpiod_line_request_release(line->request);
  free(line);
}

#endif
