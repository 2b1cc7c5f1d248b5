#include "CPNG.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#define MAXIMUM_TEXTS 8

typedef struct {
  uint8_t *bytes;
  size_t capacity;
  size_t count;
} sink;

typedef struct {
  char *text;
  size_t capacity;
} message_buffer;

static void append(png_structp png, png_bytep bytes, png_size_t count) {
  sink *output = png_get_io_ptr(png);
  if (count > output->capacity - output->count) png_error(png, "the image does not fit into its buffer");
  memcpy(output->bytes + output->count, bytes, count);
  output->count += count;
}

static void nothing_to_flush(png_structp png) { (void)png; }

static void report(png_structp png, png_const_charp text) {
  message_buffer *message = png_get_error_ptr(png);
  snprintf(message->text, message->capacity, "%s", text);
  png_longjmp(png, 1);
}

// libpng's warnings are about chunks that it then leaves out; a record must not lose one in silence.
static void treat_warning_as_error(png_structp png, png_const_charp text) { report(png, text); }

int tg_png_encode(const tg_png_image *image, uint8_t *output, size_t capacity, size_t *written, char *message,
                  size_t message_capacity) {
  message_buffer errors = {message, message_capacity};
  sink target = {output, capacity, 0};
  if (image->text_count > MAXIMUM_TEXTS) {
    snprintf(message, message_capacity, "more than %d text chunks", MAXIMUM_TEXTS);
    return -1;
  }
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &errors, report, treat_warning_as_error);
  if (!png) {
    snprintf(message, message_capacity, "libpng could not start (out of memory or another version)");
    return -1;
  }
  png_infop info = png_create_info_struct(png);
  if (!info) {
    png_destroy_write_struct(&png, NULL);
    snprintf(message, message_capacity, "libpng is out of memory");
    return -1;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    return -1;
  }
  png_set_write_fn(png, &target, append, nothing_to_flush);
  png_set_IHDR(png, info, image->width, image->height, image->bit_depth,
               image->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (image->calibration_unit) {
    png_charp parameters[2] = {(png_charp)image->calibration_p0, (png_charp)image->calibration_p1};
    png_set_pCAL(png, info, (png_charp)image->calibration_purpose, 0, 65535, PNG_EQUATION_LINEAR, 2,
                 (png_charp)image->calibration_unit, parameters);
  }
  if (image->modified_year) {
    png_time when = {image->modified_year, image->modified_month,  image->modified_day,
                     image->modified_hour, image->modified_minute, image->modified_second};
    png_set_tIME(png, info, &when);
  }
  if (image->text_count) {
    png_text texts[MAXIMUM_TEXTS];
    memset(texts, 0, sizeof texts);
    for (size_t i = 0; i < image->text_count; i++) {
      texts[i].compression = PNG_ITXT_COMPRESSION_NONE;
      texts[i].key = (png_charp)image->texts[i].keyword;
      texts[i].text = (png_charp)image->texts[i].text;
      texts[i].itxt_length = strlen(image->texts[i].text);
    }
    png_set_text(png, info, texts, (int)image->text_count);
  }
  png_write_info(png, info);
  size_t row_bytes = (size_t)image->width * image->channels * (image->bit_depth / 8);
  for (uint32_t row = 0; row < image->height; row++) png_write_row(png, image->pixels + row * row_bytes);
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  *written = target.count;
  return 0;
}
