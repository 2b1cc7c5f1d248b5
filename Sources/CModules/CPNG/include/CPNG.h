// PNG encoding and decoding over libpng. The library reports errors by longjmp, which must not cross Swift frames: this shim keeps
// setjmp and longjmp on one side and returns a code and a sentence.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char *_Nonnull keyword;  // Latin-1, 1 to 79 bytes (PNG specification, 11.3.3)
  const char *_Nonnull text;     // UTF-8
  int compressed;                // deflated in the file
} tg_png_text;

typedef struct {
  uint32_t width;
  uint32_t height;
  uint8_t bit_depth;                // 8 or 16; 16-bit samples are big-endian as in the file
  uint8_t channels;                 // 1 grey, 3 RGB
  const uint8_t *_Nonnull pixels;   // height rows of width * channels * bit_depth / 8 bytes
  // pCAL, linear: value = p0 + p1 * sample / 65535. calibration_unit NULL leaves the chunk out.
  const char *_Nullable calibration_purpose;
  const char *_Nullable calibration_unit;
  const char *_Nullable calibration_p0;
  const char *_Nullable calibration_p1;
  // tIME (UTC). modified_year 0 leaves the chunk out.
  uint16_t modified_year;
  uint8_t modified_month, modified_day, modified_hour, modified_minute, modified_second;
  const tg_png_text *_Nullable texts;
  size_t text_count;                // at most 8
} tg_png_image;

// Encodes `image` into `output`. Returns 0 and sets *written, or -1 with a sentence in `message`.
int tg_png_encode(const tg_png_image *_Nonnull image, uint8_t *_Nonnull output, size_t capacity,
                  size_t *_Nonnull written, char *_Nonnull message, size_t message_capacity);

typedef struct {
  char *_Nonnull keyword;
  char *_Nonnull text;
  size_t length;
} tg_png_found_text;

// A 16-bit grey picture as it was read. tg_png_free gives back what it points to.
typedef struct {
  uint32_t width;
  uint32_t height;
  uint16_t *_Nullable samples;      // width * height, row after row from the top
  tg_png_found_text *_Nullable texts;
  size_t text_count;
} tg_png_grey16;

// Decodes a whole file that is one 16-bit grey picture of at most `maximum_pixels`, none of whose texts is longer than
// `maximum_text_bytes`. Whatever libpng only warns of is an error. Returns 0, or -1 with a sentence in `message`; free
// `picture` either way.
int tg_png_decode_grey16(const uint8_t *_Nonnull file, size_t count, size_t maximum_pixels, size_t maximum_text_bytes,
                         tg_png_grey16 *_Nonnull picture, char *_Nonnull message, size_t message_capacity);
void tg_png_free(tg_png_grey16 *_Nonnull picture);
