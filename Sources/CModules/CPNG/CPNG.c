#include "CPNG.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
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
      texts[i].compression = image->texts[i].compressed ? PNG_ITXT_COMPRESSION_zTXt : PNG_ITXT_COMPRESSION_NONE;
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

#define MAXIMUM_FOUND_TEXTS 16

typedef struct {
  const uint8_t *bytes;
  size_t count;
  size_t position;
} source;

static void take(png_structp png, png_bytep bytes, png_size_t count) {
  source *input = png_get_io_ptr(png);
  if (count > input->count - input->position) png_error(png, "the file ends too early");
  memcpy(bytes, input->bytes + input->position, count);
  input->position += count;
}

static void *allocate(png_structp png, size_t bytes) {
  void *memory = calloc(1, bytes);
  if (!memory) png_error(png, "out of memory");
  return memory;
}

// Everything that may longjmp: what it allocates is reachable from `picture`, so the caller frees it.
static void read_grey16(png_structp png, png_infop info, size_t maximum_pixels, tg_png_grey16 *picture) {
  png_read_info(png, info);
  picture->width = png_get_image_width(png, info);
  picture->height = png_get_image_height(png, info);
  if ((size_t)picture->width * picture->height > maximum_pixels) png_error(png, "too many pixels");
  if (png_get_bit_depth(png, info) != 16 || png_get_color_type(png, info) != PNG_COLOR_TYPE_GRAY ||
      png_get_interlace_type(png, info) != PNG_INTERLACE_NONE) {
    png_error(png, "expected 16-bit grey samples, not interlaced");
  }
  size_t pixels = (size_t)picture->width * picture->height;
  picture->samples = allocate(png, pixels * sizeof(uint16_t));
  for (uint32_t row = 0; row < picture->height; row++) {
    uint16_t *line = picture->samples + (size_t)row * picture->width;
    png_read_row(png, (png_bytep)line, NULL);
    for (uint32_t column = 0; column < picture->width; column++) {
      const uint8_t *sample = (const uint8_t *)(line + column);
      line[column] = (uint16_t)(sample[0] << 8 | sample[1]);
    }
  }
  png_read_end(png, info);
  png_textp found = NULL;
  int count = 0;
  png_get_text(png, info, &found, &count);
  if (count < 0 || count > MAXIMUM_FOUND_TEXTS) png_error(png, "too many texts");
  if (count == 0) return;
  picture->texts = allocate(png, (size_t)count * sizeof *picture->texts);
  for (int i = 0; i < count; i++) {
    tg_png_found_text *text = picture->texts + i;
    size_t keyword = strlen(found[i].key);
    // libpng keeps the length of an iTXt apart from that of the others.
    text->length = found[i].compression >= PNG_ITXT_COMPRESSION_NONE ? found[i].itxt_length : found[i].text_length;
    text->keyword = allocate(png, keyword + 1);
    picture->text_count = (size_t)i + 1;
    text->text = allocate(png, text->length + 1);
    memcpy(text->keyword, found[i].key, keyword);
    memcpy(text->text, found[i].text, text->length);
  }
}

int tg_png_decode_grey16(const uint8_t *file, size_t count, size_t maximum_pixels, size_t maximum_text_bytes,
                         tg_png_grey16 *picture, char *message, size_t message_capacity) {
  memset(picture, 0, sizeof *picture);
  message_buffer errors = {message, message_capacity};
  source input = {file, count, 0};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &errors, report, treat_warning_as_error);
  if (!png) {
    snprintf(message, message_capacity, "libpng could not start (out of memory or another version)");
    return -1;
  }
  png_infop info = png_create_info_struct(png);
  if (!info) {
    png_destroy_read_struct(&png, NULL, NULL);
    snprintf(message, message_capacity, "libpng is out of memory");
    return -1;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    return -1;
  }
  png_set_read_fn(png, &input, take);
  png_set_user_limits(png, 0xFFFF, 0xFFFF);
  png_set_chunk_cache_max(png, MAXIMUM_FOUND_TEXTS);
  png_set_chunk_malloc_max(png, maximum_text_bytes);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  read_grey16(png, info, maximum_pixels, picture);
  png_destroy_read_struct(&png, &info, NULL);
  if (input.position != count) {
    snprintf(message, message_capacity, "%zu bytes follow the picture's end", count - input.position);
    return -1;
  }
  return 0;
}

void tg_png_free(tg_png_grey16 *picture) {
  for (size_t i = 0; i < picture->text_count; i++) {
    free(picture->texts[i].keyword);
    free(picture->texts[i].text);
  }
  free(picture->texts);
  free(picture->samples);
  memset(picture, 0, sizeof *picture);
}
